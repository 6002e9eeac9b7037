//! Who a client is, and what its user may.

use std::net::IpAddr;

use crate::command::{Flags, Policy, PolicyVerdict, Spec};
use crate::engine::Rules;
use crate::engine::cx::Cx;
use crate::engine::key::ClientId;
use crate::resp::Refusal;
use crate::session::{Account, AuthMode, ReplyMode};
use crate::telemetry::reject_counts::RejectReason;
use crate::telemetry::{ClientCloseReason, Way};

use super::hold::{Ending, RequestOutcome};
use super::{Client, Clients};

impl Clients {
    /// Whether a request just goes down a pipe: what most do, told by one look at the client. All
    /// that is asked here is asked again, one by one, of those that do not.
    #[inline]
    pub fn is_plain(&self, cx: &Cx, id: ClientId, rules: &Rules, spec: &Spec) -> bool {
        let client = self.get(id);
        cx.paused.is_none()
            && client.is_some_and(|client| client.is_plain() && rules.is_plain(client, spec))
    }

    /// What the operator allows this client.
    pub fn policy<'a>(&'a self, id: ClientId, rules: &'a Rules) -> &'a Policy {
        let client = self.get(id);
        client.map_or(&rules.policy, |client| client.policy(rules))
    }

    /// Whether the client's user is one that narrows itself keeps from what administrates.
    pub fn is_kept_from(&self, id: ClientId, rules: &Rules, spec: &Spec) -> bool {
        rules.access.mode == AuthMode::Local
            && spec.flags.contains(Flags::ADMIN)
            && self.get(id).is_some_and(|client| {
                let account = client.session.account.as_deref();
                account.is_none_or(|account| !account.admin)
            })
    }

    /// Whether a client that need not log in, as the server says, comes from another machine where
    /// that is not meant: towards the server it would come from this one, and be served.
    pub fn is_protected_from(&self, cx: &Cx, id: ClientId) -> bool {
        let unproven = self.get(id).filter(|client| !client.is_proven);
        let ip = unproven.and_then(|client| client.address.ip());
        !cx.rules.access.allow_open && ip.is_some_and(|ip| !ip.to_canonical().is_loopback())
    }

    /// A place among the clients of the user. False: there are too many.
    pub fn take_user_quota(&mut self, cx: &Cx, id: ClientId, account: &Account) -> bool {
        let user_quota = cx
            .shared
            .user_quotas
            .take(&account.name, account.max_clients);
        let Some(client) = self.get_mut(id) else {
            return true;
        };
        let taken = user_quota.is_some();
        client.user_quota = user_quota;
        taken
    }

    /// An error of the server's, at the request's turn.
    pub fn answer_error(&mut self, cx: &mut Cx, id: ClientId, reply: &[u8]) -> RequestOutcome {
        let now = cx.now;
        cx.counters.refused(match reply.starts_with(b"-WRONGPASS") {
            true => "wrongpass",
            false => "refused_by_server",
        });
        cx.counters.went(Way::Refused);
        let Some(client) = self.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        client.active_at = now;
        if !client.session.reply_mode.begin_command() {
            self.reply_with(id, |out| out.extend_from_slice(reply));
        }
        RequestOutcome::Taken
    }

    /// No pipe takes this request, and the server is known to be busy: its own words for that. It
    /// would have run nothing either.
    pub fn answer_busy(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        spec: &Spec,
    ) -> Option<RequestOutcome> {
        // Who asks for silence would not hear it, and the server says it as late as it likes.
        let hears = |client: &Client| client.session.reply_mode == ReplyMode::On;
        if spec.flags.contains(Flags::ALLOW_BUSY) || !self.get(id).is_some_and(hears) {
            return None;
        }
        let reply = cx.shared.busy.says(cx.now)?;
        Some(self.answer_error(cx, id, &reply))
    }

    /// A wrong password, or an unknown user.
    pub fn login_failed(&mut self, cx: &mut Cx, id: ClientId) {
        let Some(client) = self.get(id) else {
            return;
        };
        let (ip, addr) = (client.ip(), client.address.peer());
        cx.shared.failures.count(ip, cx.now);
        cx.counters.logins_failed += 1;
        if cx
            .shared
            .failures
            .is_blocked(ip, cx.rules.access.failures_max, cx.now)
        {
            let key = "auth.failures_max";
            tracing::warn!(
                addr,
                key,
                "too many failed logins: refused unchecked for a while"
            );
        } else {
            tracing::info!(addr, "login failed");
        }
    }

    /// Why this client may not use a command, if it may not.
    pub fn forbidden<'s>(
        &self,
        id: ClientId,
        rules: &Rules,
        spec: &'s Spec,
    ) -> Option<Refusal<'s>> {
        let command = &*spec.name;
        match self.policy(id, rules).verdict(spec) {
            PolicyVerdict::Denied => Some(Refusal::Forbidden { command }),
            PolicyVerdict::Evades => Some(Refusal::Scripts),
            PolicyVerdict::Allowed if self.is_kept_from(id, rules, spec) => {
                Some(Refusal::NoPermission { command })
            }
            PolicyVerdict::Allowed => None,
        }
    }

    /// Redis' own words for too many clients, and the end.
    pub fn turn_away(&mut self, cx: &mut Cx, id: ClientId) {
        let refusal = Refusal::MaxClients;
        cx.counters.refused("max_clients_of_user");
        if let Some(client) = self.get(id) {
            let user = client.session.user().escape_ascii().to_string();
            let addr = client.address.peer();
            tracing::warn!(user, addr, "max number of clients of this user reached");
        }
        self.reply_with(id, |out| refusal.write(out));
        self.closes_for(id, ClientCloseReason::UserLimit);
        self.end(cx, id, Ending::AfterOutput);
    }

    /// Redis' own words in protected mode, and the end.
    pub fn protect_from(&mut self, cx: &mut Cx, id: ClientId) -> RequestOutcome {
        let refusal = Refusal::Protected;
        cx.counters.refused(refusal.label());
        cx.shared.reject_counts.rejected(RejectReason::Protected);
        let (key, peer) = ("listen.allow_open", self.get(id));
        let peer = peer.map(|client| client.address.peer());
        tracing::debug!(peer, key, "a client of another machine is turned away");
        self.reply_with(id, |out| refusal.write(out));
        self.closes_for(id, ClientCloseReason::Refused);
        self.end(cx, id, Ending::AfterOutput);
        RequestOutcome::Ended
    }

    pub fn not_blocked(&mut self, cx: &mut Cx, id: ClientId) -> Result<(), RequestOutcome> {
        let max = cx.rules.access.failures_max;
        let address = self.get(id).map(Client::ip);
        let blocked = |address: IpAddr| cx.shared.failures.is_blocked(address, max, cx.now);
        match address.is_some_and(blocked) {
            true => Err(self.refuse(cx, id, &Refusal::TooManyFailures)),
            false => Ok(()),
        }
    }

    /// It was told that it could not be carried out: what it has sent behind may have been meant for
    /// another user.
    pub fn not_logged_in(
        &mut self,
        cx: &mut Cx,
        id: ClientId,
        outcome: RequestOutcome,
        matters: bool,
    ) -> RequestOutcome {
        if outcome == RequestOutcome::Taken && matters {
            self.closes_for(id, ClientCloseReason::Refused);
            self.end(cx, id, Ending::AfterOutput);
            return RequestOutcome::Ended;
        }
        outcome
    }
}
