//! The picture: which endpoints there are, and where. One server is a picture with one endpoint.

use super::{EndpointId, ServerAddress};

/// See the module. Never changed: another picture takes its place, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    endpoint: EndpointId,
    address: ServerAddress,
}

/// One server, where it is by default.
impl Default for Topology {
    fn default() -> Self {
        Self::standalone(ServerAddress::default())
    }
}

impl Topology {
    /// One server, and no other.
    pub fn standalone(address: ServerAddress) -> Self {
        Self {
            endpoint: EndpointId::first(0),
            address,
        }
    }

    /// The picture that follows when the server is another one, at `address`.
    pub fn replaced_by(&self, address: ServerAddress) -> Self {
        Self {
            endpoint: self.endpoint.successor(),
            address,
        }
    }

    /// The endpoint that everything goes to.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// Where an endpoint is; `None` when it is in this picture no more, or not yet.
    pub fn address_of(&self, endpoint: EndpointId) -> Option<&ServerAddress> {
        (endpoint == self.endpoint).then_some(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_where_it_was_as_long_as_it_is_in_the_picture() {
        let old = ServerAddress::Unix("/old.sock".into());
        let before = Topology::standalone(old.clone());
        let after = before.replaced_by(ServerAddress::default());
        let (first, second) = (before.endpoint(), after.endpoint());
        assert!(second.is_successor_of(first));
        assert_eq!(before.address_of(first), Some(&old));
        assert_eq!(before.address_of(second), None);
        assert_eq!(after.address_of(first), None, "nothing is dialled for it");
        assert_eq!(after.address_of(second), Some(&ServerAddress::default()));
        // As it was once is another server all the same.
        let again = after.replaced_by(old);
        assert!(again.endpoint().is_successor_of(second) && again != before);
    }
}
