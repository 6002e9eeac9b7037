//! Subscriptions and tracked keys, as a client asks for them and judges what it hears.

use super::actor::{Actor, Expect, Mode, Pending};
use super::history::{History, Tag, Told};
use super::push_streams::{Kind, is_push_frame};
use super::rng::Rng;

/// Channels that all clients share.
pub const CHANNELS: [&str; 3] = ["ch0", "ch1", "d2"];

impl Actor {
    /// Something to do with what the server pushes.
    pub fn subscribe(&mut self, rng: &mut Rng, tag: Tag) {
        let text = tag.text();
        if self.mode != Mode::On {
            return self.publish(rng, tag);
        }
        let channel = rng.one_of(&CHANNELS);
        match rng.below(20) {
            0..5 => self.begin_to(&["SUBSCRIBE", channel, &text], tag),
            5..7 => self.begin_to(&["SUBSCRIBE", "ch0", "ch1", "ch0", &text], tag),
            7..9 => self.begin_to(&["PSUBSCRIBE", "ch*", &text], tag),
            9..11 if self.subscribing => {
                self.say(tag, &["UNSUBSCRIBE", channel, &text], Expect::Subscribe);
            }
            11 if self.subscribing => self.say(tag, &["PUNSUBSCRIBE"], Expect::Subscribe),
            12..15 if self.subscribing => {
                self.say(tag, &["UNSUBSCRIBE"], Expect::Subscribe);
                let more = self.next_tag();
                self.say(more, &["PUNSUBSCRIBE"], Expect::Subscribe);
                self.subscribing = false;
            }
            // Who has to log in does not go back to what may do nothing.
            15 if self.subscribing && !self.unauthenticated => {
                self.name.clear();
                self.say(tag, &["RESET"], Expect::Reset);
                self.subscribing = false;
            }
            // Nothing is subscribed: one confirmation without a channel.
            9 => self.say(tag, &["UNSUBSCRIBE"], Expect::Subscribe),
            16 | 17 if !self.subscribing => {
                let prefix = rng.one_of(&["c", "n0", "l"]);
                let args = [
                    "CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix, "PREFIX", &text,
                ];
                self.tracks = true;
                self.say(tag, &args, Expect::Tracking);
            }
            18 if !self.subscribing => {
                self.say(tag, &["CLIENT", "TRACKING", "OFF"], Expect::Tracking);
            }
            _ => self.ask_meanwhile(rng, tag),
        }
    }

    fn begin_to(&mut self, args: &[&str], tag: Tag) {
        self.subscribing = true;
        self.say(tag, args, Expect::Subscribe);
    }

    /// What may be asked in any state.
    pub fn ask_meanwhile(&mut self, rng: &mut Rng, tag: Tag) {
        let text = tag.text();
        let key = rng.below(3) as u8;
        let name = format!("c{}k{key}", self.number);
        match rng.below(4) {
            0 => self.say(tag, &["PING", &text], Expect::Served),
            1 => self.say(tag, &["GET", &name, &text], Expect::Read(key)),
            2 => self.say(tag, &["STRLEN", &name, &text], Expect::Served),
            _ => self.publish(rng, tag),
        }
    }

    fn publish(&mut self, rng: &mut Rng, tag: Tag) {
        let channel = rng.one_of(&CHANNELS);
        let silent = self.begin();
        self.say(tag, &["PUBLISH", channel, &tag.text()], Expect::Served);
        if let Some(pending) = self.pending.back_mut() {
            pending.silent = silent;
        }
    }

    /// A frame that is no reply, if it is none.
    pub fn push_frame(&mut self, frame: &[u8], late: bool, history: &mut History) -> bool {
        if !is_push_frame(frame) {
            return false;
        }
        let Some(kind) = history.push_streams.heard(self.number, frame) else {
            let (number, frame) = (self.number, frame.escape_ascii());
            let next = history.push_streams.next(number);
            history.offend(format!("client {number} hears {frame}; {next} is next"));
            return true;
        };
        let Kind::Confirmation { last } = kind else {
            return true;
        };
        self.subscribed = !frame.ends_with(b"\r\n:0\r\n");
        while self.pending.front().is_some_and(|pending| pending.silent) {
            if let Some(pending) = self.pending.pop_front() {
                self.silence(&pending, late, history);
            }
        }
        match self.pending.front() {
            Some(pending) if matches!(pending.expect, Expect::Subscribe) => {
                let tag = pending.tag;
                if last {
                    self.pending.pop_front();
                    history.told(tag, Told::Done, self.setting);
                }
            }
            other => history.offend(format!(
                "client {} hears {} in place of a reply to {other:?}",
                self.number,
                frame.escape_ascii()
            )),
        }
        true
    }

    /// An error in place of confirmations, or the answer to `CLIENT TRACKING`.
    pub fn judge_subscription(
        &mut self,
        pending: &Pending,
        frame: &[u8],
        history: &mut History,
    ) -> Result<(), &'static str> {
        let told = match frame {
            b"+OK\r\n" if matches!(pending.expect, Expect::Tracking) => return Ok(()),
            _ if frame.starts_with(b"-TRYAGAIN narrows:") => Told::NotRun,
            _ if frame.starts_with(b"-") => Told::Unknown,
            _ => return Err("no confirmation"),
        };
        let unknown = self.users && told == Told::NotRun;
        if matches!(pending.expect, Expect::Tracking) || unknown {
            // What it has sent behind it must not run untracked, or as an unauthenticated client.
            self.loose = true;
        }
        if !matches!(pending.expect, Expect::Tracking) {
            history.told(pending.tag, told, self.setting);
        }
        Ok(())
    }
}
