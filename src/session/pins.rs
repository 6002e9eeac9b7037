//! Why a client keeps its backend: state that stays on the connection, as the server's replies have
//! shown. What the server has refused leaves none.

use crate::command::Pin;

use super::Mark;

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
    pub fn settle(&mut self, mark: Mark, reply: &[u8]) -> Option<Pin> {
        let refused = |pin| match matches!(reply.first(), Some(b'-' | b'!')) {
            // Of a command that narrows does not know, an error tells only what Redis says before it
            // runs one (`processCommand`, server.c).
            true if is_unknown(pin) => NOT_RUN.iter().any(|text| reply.starts_with(text)),
            refused => refused,
        };
        match mark {
            // What they say is the state of a connection that nothing was done on.
            Mark::Pin(Pin::ReadWrite) => self.undone(Pin::ReadOnly, reply),
            Mark::TouchesAgain => self.undone(Pin::NoTouch, reply),
            Mark::ImportsNoMore => self.undone(Pin::ImportSource, reply),
            // It tells how many names it has undone.
            Mark::HimportsNoMore if reply.starts_with(b":") => {
                self.0.retain(|one| *one != Pin::Himport);
            }
            Mark::Pin(pin) if !refused(pin) && !self.0.contains(&pin) => {
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
    type Case<'a> = (&'a [(Mark, &'a str)], &'a [Pin]);

    #[test]
    fn what_stays_follows_from_the_reply() {
        let cases: &[Case<'_>] = &[
            (&[(Mark::Pin(Pin::ReadOnly), "-ERR no cluster\r\n")], &[]),
            (
                &[(Mark::Pin(Pin::ReadOnly), "+QUEUED\r\n")],
                &[Pin::ReadOnly],
            ),
            (&[(Mark::Pin(Pin::ReadOnly), "+OK\r\n")], &[Pin::ReadOnly]),
            (
                &[
                    (Mark::Pin(Pin::ReadOnly), "+OK\r\n"),
                    (Mark::Pin(Pin::NoTouch), "+OK\r\n"),
                    (Mark::Pin(Pin::ReadWrite), "-ERR no\r\n"),
                    (Mark::TouchesAgain, "+OK\r\n"),
                ],
                &[Pin::ReadOnly],
            ),
            (
                &[
                    (Mark::Pin(Pin::ReadOnly), "+OK\r\n"),
                    (Mark::Pin(Pin::ReadWrite), "+OK\r\n"),
                ],
                &[],
            ),
            (
                &[(
                    Mark::Pin(Pin::UnknownCommand),
                    "-ERR unknown command 'x'\r\n",
                )],
                &[],
            ),
            (
                &[
                    (Mark::Pin(Pin::Himport), "+OK\r\n"),
                    (Mark::HimportsNoMore, "+QUEUED\r\n"),
                    (Mark::HimportsNoMore, "-LOADING\r\n"),
                ],
                &[Pin::Himport],
            ),
            (
                &[
                    (Mark::Pin(Pin::Himport), "+OK\r\n"),
                    (Mark::HimportsNoMore, ":1\r\n"),
                ],
                &[],
            ),
            // It may have run as far as that.
            (
                &[(Mark::Pin(Pin::UnknownCommand), "-ERR no such index\r\n")],
                &[Pin::UnknownCommand],
            ),
        ];
        for (steps, left) in cases {
            let mut pins = Pins::default();
            for (mark, reply) in *steps {
                pins.settle(*mark, reply.as_bytes());
            }
            assert_eq!(pins.iter().collect::<Vec<_>>(), *left, "{steps:?}");
        }
    }
}
