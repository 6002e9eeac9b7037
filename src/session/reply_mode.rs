//! `CLIENT REPLY ON|OFF|SKIP`: whether the client hears of its commands. Backends always
//! reply; the silence is made here.

/// The mode of one client.
///
/// ```text
///          OFF                      SKIP
///   On ----------> Off       On ----------> SkipNext --(any command, silent)--> On
///    ^---- ON ------|        Off -- SKIP -> Off (Redis ignores it there)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Every reply is sent.
    #[default]
    On,
    /// No reply is sent.
    Off,
    /// The next command's reply is not sent.
    SkipNext,
}

impl ReplyMode {
    /// Whether the command that begins now is to stay silent. Uses up a `SKIP`.
    pub fn begin_command(&mut self) -> bool {
        match self {
            Self::On => false,
            Self::Off => true,
            Self::SkipNext => {
                *self = Self::On;
                true
            }
        }
    }

    /// Whether the command that begins next is to stay silent.
    pub fn is_silent(self) -> bool {
        self != Self::On
    }

    /// `CLIENT REPLY SKIP`, which has no reply itself.
    pub fn skip(&mut self) {
        if *self == Self::On {
            *self = Self::SkipNext;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_silences_exactly_the_next_command_and_is_ignored_when_off() {
        let mut mode = ReplyMode::On;
        mode.skip();
        assert!(mode.begin_command());
        assert!(!mode.begin_command());
        mode = ReplyMode::Off;
        mode.skip();
        assert!(mode.begin_command() && mode.begin_command());
    }
}
