//! What a client says of itself: its name, its library's, and the version of that.

/// One of the names a client may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOf {
    /// `CLIENT SETNAME`: the connection.
    Client,
    /// `CLIENT SETINFO lib-name`: the client library.
    Library,
    /// `CLIENT SETINFO lib-ver`: the client library's version.
    LibraryVersion,
}

/// Between two names; no [valid](is_valid_name) one holds it.
const SEPARATOR: u8 = b' ';

/// All names of one client. Those who set any set all of them and keep them as long as they are connected, so
/// they share one piece of memory; without any there is none.
#[derive(Debug, Default, Clone)]
pub struct ClientNames(Box<[u8]>);

impl ClientNames {
    /// A name, empty when not set.
    pub fn get(&self, of: NameOf) -> &[u8] {
        let mut all = self.0.split(|byte| *byte == SEPARATOR);
        all.nth(of as usize).unwrap_or_default()
    }

    /// Sets a [valid](is_valid_name) name. An empty one unsets it.
    pub fn set(&mut self, of: NameOf, value: &[u8]) {
        debug_assert!(is_valid_name(value));
        let mut all =
            [NameOf::Client, NameOf::Library, NameOf::LibraryVersion].map(|of| self.get(of));
        if let Some(name) = all.get_mut(of as usize) {
            *name = value;
        }
        self.0 = match all.iter().all(|name| name.is_empty()) {
            true => Box::default(),
            false => all.join(&SEPARATOR).into(),
        };
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.0.iter().filter(|byte| **byte != SEPARATOR).count()
    }

    /// Whether none is set, so that they take no memory.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a client, library or version name is one that Redis accepts: printable ASCII
/// without spaces (`validateClientAttr`, networking.c).
pub fn is_valid_name(name: &[u8]) -> bool {
    name.iter().all(|b| (b'!'..=b'~').contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_set_and_unset_for_itself() {
        let mut names = ClientNames::default();
        let all = |names: &ClientNames| {
            [NameOf::Client, NameOf::Library, NameOf::LibraryVersion]
                .map(|of| String::from_utf8_lossy(names.get(of)).into_owned())
        };
        names.set(NameOf::LibraryVersion, b"5.0");
        assert_eq!(all(&names), ["", "", "5.0"]);
        names.set(NameOf::Client, b"web");
        names.set(NameOf::Library, b"redis-py");
        assert_eq!(all(&names), ["web", "redis-py", "5.0"]);
        assert_eq!(names.bytes(), 14);
        names.set(NameOf::Library, b"");
        assert_eq!(all(&names), ["web", "", "5.0"]);
        names.set(NameOf::Client, b"");
        names.set(NameOf::LibraryVersion, b"");
        assert!(names.is_empty());
        assert_eq!((all(&names), names.bytes()), (Default::default(), 0));
    }

    #[test]
    fn names_with_spaces_or_control_bytes_are_invalid() {
        assert!(is_valid_name(b"a-b_c.1~!"));
        assert!(is_valid_name(b""));
        for bad in [&b"a b"[..], b"a\n", b"\x7f", "ü".as_bytes()] {
            assert!(!is_valid_name(bad));
        }
    }
}
