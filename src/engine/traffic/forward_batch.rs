//! The fast path of a pipeline: plain requests of one client that come right behind one that is in
//! flight, and are here as a whole. What is true of the client and of its pipe is asked once for all
//! of them; what is true of a request, of each. It ends before the first request that is anything but
//! plain or that there is no room for: that one goes the common way, `Engine::request`, which alone
//! judges. So a batch may be cut anywhere, and whether there is one makes no difference to what
//! leaves or comes.

use crate::command::{Flags, Lookup, Spec};
use crate::resp::{Frame, Limits, RequestScanner};
use crate::session::{AuthMode, ReplyMode};

use crate::engine::Rules;
use crate::engine::clients::Client;
use crate::engine::key::ClientId;
use crate::engine::pool::backend::Backend;
use crate::engine::reach::Traffic;
use crate::engine::request::name_of;
use crate::engine::slot::{AccessKind, RetryClass};
use crate::engine::traffic::send::Expected;

impl Traffic<'_> {
    /// Sends the plain requests that `bytes` begin with. How many bytes are done with.
    #[inline(never)]
    pub fn forward_batch(&mut self, id: ClientId, rules: &Rules, bytes: &[u8]) -> usize {
        let Traffic { cx, clients, pool } = self;
        let Some(client) = clients.get(id).filter(|_| cx.paused.is_none()) else {
            return 0;
        };
        let current_backend = client.current_backend;
        // Else each request is asked whether it writes.
        let anywhere = !pool.writes_go_elsewhere(client.context(), current_backend);
        let (Some(client), Some(backend)) =
            (clients.get_mut(id), pool.backend_mut(current_backend))
        else {
            return 0;
        };
        if !(anywhere && client.may_forward_batch(backend, rules)) {
            return 0;
        }
        let now = cx.now;
        let (limits, settings) = (&rules.settings.limits, &rules.settings.pool);
        let (in_flight_max, bytes_max) = (settings.pipe_in_flight_max, settings.pipe_bytes_max);
        let room = rules.settings.clients.in_flight_max;
        let huge_from = rules.settings.clients.huge_from();
        let (mut last, mut last_sent): (Option<Repeated>, Option<&str>) = (None, None);
        let (mut done, mut sent, mut scripts) = (0, 0, false);
        while (client.in_flight as usize) < room {
            let rest = bytes.get(done..).unwrap_or_default();
            let repeated = last.as_ref().and_then(|last| last.repeats(rest, limits));
            let length = match repeated {
                Some(length) => length,
                None => {
                    let Some(frame) = RequestScanner::whole(rest, limits) else {
                        break;
                    };
                    last = Repeated::first(rules, client, rest, &frame);
                    frame.bytes as usize
                }
            };
            let request = rest.get(..length).unwrap_or_default();
            let Some(Repeated { spec, expected, .. }) = last else {
                break;
            };
            if length >= huge_from
                || !backend.takes(AccessKind::Read, length, in_flight_max, bytes_max)
            {
                break;
            }
            scripts |= expected.retry_class == RetryClass::Script;
            client.send(id, current_backend, backend, request, expected, now);
            done += length;
            sent += 1;
            last_sent = Some(&spec.name);
        }
        if let Some(name) = last_sent {
            client.served(now, name);
            cx.counters.shared += sent;
            pool.has_bytes(current_backend, done);
        }
        if scripts {
            cx.watch_script();
        }
        done
    }
}

/// A plain request, and all that is the same of those that begin as it does: a pipeline is most often
/// one command over and over.
struct Repeated<'a> {
    /// Its bytes to the end of the line that holds its name; none, where that does not tell what it is.
    head: &'a [u8],
    argc: u32,
    spec: &'a Spec,
    expected: Expected,
}

impl<'a> Repeated<'a> {
    /// The request that `rest` begins with; `None` if it is not plain.
    fn first(rules: &'a Rules, client: &Client, rest: &'a [u8], frame: &Frame) -> Option<Self> {
        let name = name_of(rest, frame);
        let spec = match rules
            .commands
            .lookup(rest.get(..frame.bytes as usize)?, name, frame.argc)
        {
            Lookup::Known(spec) if rules.is_plain(client, spec) => spec,
            _ => return None,
        };
        let head_len = frame.name_at as usize + name.len() + b"\r\n".len();
        Some(Self {
            head: rest
                .get(..head_len)
                .filter(|_| spec.is_all_of(name))
                .unwrap_or_default(),
            argc: frame.argc,
            spec,
            expected: Expected::plain(spec, rules.settings.pool.check_kinds),
        })
    }

    /// The length of the request that `rest` begins with, if it is one more of these.
    #[inline(always)]
    fn repeats(&self, rest: &[u8], limits: &Limits) -> Option<usize> {
        if self.head.is_empty() {
            return None;
        }
        RequestScanner::whole_like(self.head, self.argc, rest, limits)
    }
}

impl Spec {
    /// Whether every request that begins with `name`, its own first word, is for this row: not so
    /// of subcommands, whose full names are longer, nor of their containers.
    #[inline]
    fn is_all_of(&self, name: &[u8]) -> bool {
        self.name.len() == name.len() && !self.is_container()
    }
}

impl Client {
    /// Whether it has nothing about it that makes its requests travel in another way than their
    /// commands do.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.is_authenticated() && self.lease.is_none() && !self.session.lost.multi()
    }

    /// Whether plain requests may be sent to `current_backend`, behind those that are in flight there,
    /// without another look at the client.
    fn may_forward_batch(&self, current_backend: &Backend, rules: &Rules) -> bool {
        self.in_flight > 0
            && current_backend.context() == self.context()
            && self.is_plain()
            && !self.is_ending()
            && self.out.len() <= rules.settings.clients.output_pause_bytes
            && self.policy(rules).renames().is_empty()
            // Nothing is left that a request would use up.
            && self.session.reply_mode == ReplyMode::On
            && self.head.is_fresh()
    }
}

impl Rules {
    /// Whether a command of a client that is plain just goes down a pipe.
    #[inline]
    pub fn is_plain(&self, client: &Client, spec: &Spec) -> bool {
        spec.is_shared()
            && (self.access.mode != AuthMode::Local || !spec.flags.contains(Flags::ADMIN))
            && client.policy(self).leaves_alone(spec)
    }
}
