//! One place in the picture, at one time: what a connection belongs to for its whole life. Clients belong
//! to none: when another server takes a place no client is touched.

/// One server at one generation. When another server takes its place that is another endpoint, which
/// nothing that was meant for the one before it can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    /// Its place in the topology.
    index: u32,
    /// How many servers have had that place before it.
    generation: u32,
}

impl EndpointId {
    /// The first server at this place.
    pub const fn first(index: u32) -> Self {
        Self {
            index,
            generation: 0,
        }
    }

    /// The one that takes its place.
    ///
    /// # Panics
    /// When there are no numbers left, rather than give one again: what was meant for one server
    /// would reach another.
    pub fn successor(self) -> Self {
        assert!(
            self.generation < u32::MAX,
            "a generation's number is never given again"
        );
        Self {
            generation: self.generation + 1,
            ..self
        }
    }

    /// Whether it has taken the place of `before`, at once or after others.
    pub fn is_successor_of(self, before: Self) -> bool {
        self.index == before.index && self.generation > before.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_later_at_the_same_place_is_a_successor_and_nobody_else_is() {
        let first = EndpointId::first(3);
        let second = first.successor();
        assert!(second != first && second.is_successor_of(first));
        assert!(second.successor().is_successor_of(first));
        assert!(!first.is_successor_of(second) && !first.is_successor_of(first));
        assert!(!second.is_successor_of(EndpointId::first(2)));
    }
}
