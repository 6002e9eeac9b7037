//! What a client is pushed on the backend that it holds: subscriptions, tracking, MONITOR.

use std::collections::VecDeque;
use std::time::Duration;

use crate::admission::fault_injection::{self, Bug};
use crate::resp::ReplyScanner;
use crate::session::push_stream::{FrameKind, SubscribeVerb, Subscriptions};
use crate::session::settle::StreamChange;

/// What one client is pushed, and where in it we are.
#[derive(Debug, Default)]
pub struct PushStream {
    /// What it is subscribed to.
    pub subscriptions: Subscriptions,
    /// `MONITOR` is on.
    pub monitoring: bool,
    /// `CLIENT TRACKING` is on.
    pub tracking: bool,
    /// Commands under way that change subscriptions, oldest first.
    pub due: VecDeque<OwedConfirmations>,
    /// The frame under way, once it is known what it is.
    pub under_way: Option<FrameKind>,
    pub scanner: ReplyScanner,
    /// What has come of it, unless it is a reply, which goes on at once.
    pub held: Vec<u8>,
    /// Since when more is unread than may be for long.
    pub behind_since: Option<Duration>,
}

impl PushStream {
    /// A command is sent that changes subscriptions and names so many channels.
    pub fn asked(&mut self, verb: SubscribeVerb, named: u32) {
        self.due.push_back(OwedConfirmations {
            verb,
            named,
            come: 0,
            expected: 0,
        });
    }

    /// A reply has changed this.
    pub fn settle(&mut self, change: StreamChange) {
        match change {
            StreamChange::Refused => {
                self.due.pop_front();
            }
            StreamChange::Monitors => self.monitoring = true,
            StreamChange::Tracks => self.tracking = true,
            StreamChange::TracksNoMore => self.tracking = false,
        }
    }

    /// Whether subscriptions are being changed: what a request means is not known before.
    pub fn is_changing(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether the server may push something.
    pub fn is_live(&self) -> bool {
        let subscribed =
            self.subscriptions.any() && !fault_injection::has(Bug::LeaseWhileSubscribed);
        subscribed || self.monitoring || self.tracking
    }

    /// Whether no frame is half here and no confirmation to come.
    pub fn is_between_frames(&self) -> bool {
        !self.is_changing() && self.under_way.is_none() && self.held.is_empty()
    }

    /// Whether nothing is left of it: no subscription, no frame half here.
    pub fn is_over(&self) -> bool {
        !self.is_live() && self.is_between_frames()
    }

    /// Bytes that are kept until their frame is whole.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// A confirmation has come. Whether it was the last one of its command; `None` when it cannot
    /// be one.
    pub fn confirmed(&mut self, verb: SubscribeVerb, count: Option<u32>) -> Option<bool> {
        let due = self.due.front_mut().filter(|due| due.verb == verb)?;
        if due.come == 0 {
            due.expected = match fault_injection::has(Bug::ConfirmedOnce) {
                true => 1,
                false => self.subscriptions.confirmations(verb, due.named),
            };
        }
        if !self.subscriptions.confirmed(verb, count?) {
            return None;
        }
        due.come += 1;
        let last = due.come >= due.expected;
        if last {
            self.due.pop_front();
        }
        Some(last)
    }
}

/// A command whose confirmations are awaited.
#[derive(Debug)]
pub struct OwedConfirmations {
    pub verb: SubscribeVerb,
    /// Channels that it names.
    pub named: u32,
    /// Confirmations that have come, and how many there will be: known with the first one.
    pub come: u32,
    pub expected: u32,
}
