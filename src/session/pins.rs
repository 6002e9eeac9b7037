//! Why a client keeps its backend: state that stays on the connection, as the server's replies have
//! shown. What the server has refused leaves none.

use crate::command::Pin;

use super::StateChange;

/// See the module. The default: nothing stays.
#[derive(Debug, Default)]
pub struct Pins(Vec<Pin>);

impl Pins {
    /// Whether there is one.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Pin> {
        self.0.iter().copied()
    }

    /// The reply to a marked request has come: at least its head, or all of it if it is one line.
    /// What stays from now on and did not before.
    pub fn settle(&mut self, change: StateChange, reply: &[u8]) -> Option<Pin> {
        let refused = |pin| match matches!(reply.first(), Some(b'-' | b'!')) {
            // Of a command that narrows does not know, an error tells only what Redis says before it
            // runs one (`processCommand`, server.c).
            true if is_unknown(pin) => NOT_RUN.iter().any(|text| reply.starts_with(text)),
            refused => refused,
        };
        match change {
            // What they say is the state of a connection that nothing was done on.
            StateChange::Pin(Pin::ReadWrite) => self.undone(Pin::ReadOnly, reply),
            StateChange::TouchesAgain => self.undone(Pin::NoTouch, reply),
            StateChange::ImportsNoMore => self.undone(Pin::ImportSource, reply),
            // It tells how many names it has undone.
            StateChange::HimportsNoMore if reply.starts_with(b":") => {
                self.0.retain(|one| *one != Pin::Himport);
            }
            StateChange::Pin(pin) if !refused(pin) && !self.0.contains(&pin) => {
                self.0.push(pin);
                return Some(pin);
            }
            _ => {}
        }
        None
    }

    fn undone(&mut self, pin: Pin, reply: &[u8]) {
        if reply == b"+OK\r\n" {
            self.0.retain(|one| *one != pin);
        }
    }
}

/// How errors begin that say that a command has not run.
const NOT_RUN: [&[u8]; 6] = [
    b"-ERR unknown command",
    b"-ERR unknown subcommand",
    b"-ERR Unknown subcommand",
    b"-ERR wrong number of arguments",
    b"-NOPERM ",
    b"-NOAUTH ",
];

fn is_unknown(pin: Pin) -> bool {
    matches!(
        pin,
        Pin::UnknownClientSubcommand
            | Pin::UnknownConnectionCommand
            | Pin::UnknownPubsubCommand
            | Pin::UnknownTransactionCommand
            | Pin::UnreviewedCommand
            | Pin::UnknownCommand
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marked requests with their replies, and what stays of them.
    type Case<'a> = (&'a [(StateChange, &'a str)], &'a [Pin]);

    #[test]
    fn what_stays_follows_from_the_reply() {
        let cases: &[Case<'_>] = &[
            (
                &[(StateChange::Pin(Pin::ReadOnly), "-ERR no cluster\r\n")],
                &[],
            ),
            (
                &[(StateChange::Pin(Pin::ReadOnly), "+QUEUED\r\n")],
                &[Pin::ReadOnly],
            ),
            (
                &[(StateChange::Pin(Pin::ReadOnly), "+OK\r\n")],
                &[Pin::ReadOnly],
            ),
            (
                &[
                    (StateChange::Pin(Pin::ReadOnly), "+OK\r\n"),
                    (StateChange::Pin(Pin::NoTouch), "+OK\r\n"),
                    (StateChange::Pin(Pin::ReadWrite), "-ERR no\r\n"),
                    (StateChange::TouchesAgain, "+OK\r\n"),
                ],
                &[Pin::ReadOnly],
            ),
            (
                &[
                    (StateChange::Pin(Pin::ReadOnly), "+OK\r\n"),
                    (StateChange::Pin(Pin::ReadWrite), "+OK\r\n"),
                ],
                &[],
            ),
            (
                &[(
                    StateChange::Pin(Pin::UnknownCommand),
                    "-ERR unknown command 'x'\r\n",
                )],
                &[],
            ),
            (
                &[
                    (StateChange::Pin(Pin::Himport), "+OK\r\n"),
                    (StateChange::HimportsNoMore, "+QUEUED\r\n"),
                    (StateChange::HimportsNoMore, "-LOADING\r\n"),
                ],
                &[Pin::Himport],
            ),
            (
                &[
                    (StateChange::Pin(Pin::Himport), "+OK\r\n"),
                    (StateChange::HimportsNoMore, ":1\r\n"),
                ],
                &[],
            ),
            // It may have run as far as that.
            (
                &[(
                    StateChange::Pin(Pin::UnknownCommand),
                    "-ERR no such index\r\n",
                )],
                &[Pin::UnknownCommand],
            ),
        ];
        for (steps, left) in cases {
            let mut pins = Pins::default();
            for (change, reply) in *steps {
                pins.settle(*change, reply.as_bytes());
            }
            assert_eq!(pins.iter().collect::<Vec<_>>(), *left, "{steps:?}");
        }
    }
}
