//! narrows' own connection to the server, on the control thread: health, the server's own
//! limits, and its `COMMAND`. It never carries a client's command. When it or its thread
//! dies, traffic goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

use crate::admission::{Backoff, Budget, Claim, Jitter, Paused, ServerPause};
use crate::command::CommandTable;
use crate::engine::{Role, Rules, ServerBusy, ServerRole};
use crate::resp::{Element, element};
use crate::session::{AuthMode, own_channel};
use crate::telemetry::Server;
use crate::topology::EndpointId;

use super::asking::Asking;
use super::current::Current;
use super::dial::{self, BackendSocket, REPLACED};
use super::exchange::{CLOSED, is_error, words};
use super::inbox::Inbox;
use super::message::HealthVerdict;
use super::settings::BackendCredentials;

mod ask;

/// What workers ask of the control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlOrder {
    /// A command name was met that the table does not know.
    LearnCommands,
    /// The settings have changed: whoever waits by the old ones begins anew.
    Reloaded,
}

/// Orders that wait. Each that finds no room stands behind one that has the same effect.
pub const ORDERS_MAX: usize = 64;

/// How often the server's own client counts are read.
const POLL: Duration = Duration::from_secs(5);

/// How long a pause of writes is asked about at each health check. Behind that, every [`POLL`].
const PAUSE_IS_NEW: Duration = Duration::from_secs(10);

/// How soon a server that does not pause writes answers one.
const WRITE_PATIENCE: Duration = Duration::from_millis(100);

/// What is told while control's place is lent.
const PLACE_TAKEN: &str = "the control connection exists already";

/// For how long control's place is lent at most.
const PLACE_LENT: Duration = Duration::from_secs(2);

/// How often control looks whether its place is free again.
const PLACE_POLL: Duration = Duration::from_millis(5);

/// First ceiling of the pause after an attempt that has failed.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The control connection and whom it tells what.
pub struct Control {
    /// What holds now. The rules are replaced when commands are learned.
    pub current: Arc<Current>,
    /// The server that it asks: what it finds is said of that one.
    pub endpoint: EndpointId,
    /// The bound on connections, of which this is one.
    pub budget: Arc<Budget>,
    /// All workers' inboxes.
    pub inboxes: Vec<Arc<Inbox>>,
    /// Name of this connection in the server's `CLIENT LIST`.
    pub name: String,
    /// Orders of the workers.
    pub orders: Receiver<ControlOrder>,
    /// The server refuses `COMMAND`, which has been said.
    pub command_refused: bool,
    /// As whom it asks what needs a login, where narrows has none of its own.
    pub asking: Asking,
    /// Where it is told what the server says of itself.
    pub server: Arc<Server>,
    /// For how long clients have paused the server.
    pub pause: Arc<ServerPause>,
    /// What the server says while it is busy with a script.
    pub busy: Arc<ServerBusy>,
    /// Whether the server is a master.
    pub role: Arc<ServerRole>,
    /// When the process' own clock began.
    pub epoch: std::time::Instant,
}

/// What the server has been asked on a connection.
#[derive(Default)]
struct PollState {
    /// Its `COMMAND`.
    commands: bool,
    /// Its figures, and when.
    figures: Option<Instant>,
    /// Whether writes are still paused, and when.
    pause: Option<Instant>,
}

impl Control {
    /// Keeps a connection as long as the process runs.
    pub async fn run(mut self) {
        let mut jitter = Jitter::new(u64::from(std::process::id()));
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MIN);
        let mut told = None;
        loop {
            let ceiling = self.current.settings().health_interval;
            let ceiling = ceiling.max(Duration::from_millis(100));
            backoff.set_bounds(BACKOFF_MIN, ceiling);
            let endpoint = self.current.topology().endpoint();
            if endpoint != self.endpoint {
                // Nothing is known of the one that has come, nor told.
                self.endpoint = endpoint;
                self.busy.over(self.epoch.elapsed());
                told = None;
            }
            let error = match self.connect().await {
                Ok(socket) => {
                    backoff.succeeded();
                    let since = Instant::now();
                    let mut socket = Some(socket);
                    let error = self.serve(&mut socket, &mut told).await;
                    if let Some(socket) = socket {
                        dial::close_gracefully(socket).await;
                    }
                    // It may be another server next time, which nobody has paused.
                    self.pause.end(self.epoch.elapsed());
                    // A server may close what idles (`timeout`), an operator what he lists:
                    // only a server that cannot be reached again is not healthy.
                    if error == CLOSED && since.elapsed() >= ceiling / 2 {
                        continue;
                    }
                    error
                }
                Err(error) => error,
            };
            if error == REPLACED {
                // Nobody has paused the one that has come, and it has refused nothing.
                self.pause.end(self.epoch.elapsed());
                continue;
            }
            if self.orders.is_closed() {
                // All workers have ended: narrows is about to.
                return;
            }
            if told != Some(false) {
                tracing::warn!(error, "the server does not answer the health check");
            }
            self.server.is_silent(&error);
            self.pause.end(self.epoch.elapsed());
            self.busy.over(self.epoch.elapsed());
            self.role.forget(self.endpoint);
            self.tell_health(&mut told, false);
            self.budget.stop_growth(false);
            let pause = backoff.failed(&mut jitter);
            let until = Instant::now() + pause;
            // Orders cannot be carried out now: whoever asked must not wait for it.
            while let Ok(Some(order)) = tokio::time::timeout_at(until, self.orders.recv()).await {
                match order {
                    ControlOrder::LearnCommands => self.tell(Inbox::commands_learned),
                    // Perhaps the login that was refused.
                    ControlOrder::Reloaded => break,
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<BackendSocket, String> {
        loop {
            let permit = self.budget.acquire(Claim::Control).ok_or(PLACE_TAKEN)?;
            let settings = self.current.settings();
            let mut socket = dial::dial(&self.current, self.endpoint, permit).await?;
            if let Err(error) = self.log_in(&mut socket, &settings.credentials).await? {
                if !self.asking.is_wrong() {
                    return Err(error);
                }
                // It was a client's, and is not right any more.
                dial::close_gracefully(socket).await;
                continue;
            }
            let name = self.name.clone();
            // A name is a courtesy: a server that refuses it is served all the same.
            self.ask(&mut socket, &[b"CLIENT", b"SETNAME", name.as_bytes()])
                .await?;
            self.asking.begins();
            return Ok(socket);
        }
    }

    /// Logs in, if there is anybody to log in as. What the server says to that.
    async fn log_in(
        &self,
        socket: &mut BackendSocket,
        own: &BackendCredentials,
    ) -> Result<Result<(), String>, String> {
        let mut args: Vec<&[u8]> = vec![b"AUTH"];
        if let Some(password) = own.exposed_password() {
            args.extend(own.user.as_ref().map(String::as_bytes));
            args.push(password.as_bytes());
        } else if let Some(login) = self.asking.login() {
            args.extend(login.user.as_deref());
            args.extend(login.password.as_deref());
        } else {
            return Ok(Ok(()));
        }
        let reply = self.ask(socket, &args).await?;
        Ok(match element(&reply) {
            Some(Element::Text(b"OK")) => Ok(()),
            _ => Err(words(&reply)),
        })
    }

    /// Until something goes wrong: what that was.
    async fn serve(&mut self, line: &mut Option<BackendSocket>, told: &mut Option<bool>) -> String {
        let mut asked = PollState::default();
        loop {
            if let Err(error) = self.check(line, told, &mut asked).await {
                return error;
            }
            match self.ask_as_another(line).await {
                // It is to be asked everything anew.
                Ok(true) => asked = PollState::default(),
                Ok(false) => {
                    if let Err(error) = self.carry_out(line, &mut asked).await {
                        return error;
                    }
                }
                Err(error) => return error,
            }
        }
    }

    /// One health check, and what is to be asked at it.
    async fn check(
        &mut self,
        line: &mut Option<BackendSocket>,
        told: &mut Option<bool>,
        done: &mut PollState,
    ) -> Result<(), String> {
        if self.current.topology().endpoint() != self.endpoint {
            return Err(REPLACED.to_owned());
        }
        self.ask_about_pause(line, &mut done.pause).await?;
        self.give_place(line).await?;
        let Some(socket) = line else {
            return Err(CLOSED.to_owned());
        };
        let asked = self.epoch.elapsed();
        let reply = self.ask(socket, &[b"PING"]).await?;
        // Where clients bring their own logins narrows may have none: an answer is an answer.
        if is_error(&reply, b"NOAUTH") && !self.asks_nothing() {
            return Err(words(&reply));
        }
        let now = self.epoch.elapsed();
        self.pause.answered(asked, now, Paused::All);
        match is_error(&reply, b"BUSY ") {
            true => self.busy.heard(&reply, asked, now),
            false => self.busy.over(asked),
        }
        if *told == Some(false) {
            tracing::info!("the server answers the health check again");
        }
        self.server.answers();
        self.tell_health(told, true);
        // Anybody may ask that, who has logged in. Before Redis 6 it is an error.
        let asked = self.epoch.elapsed();
        if let Some(role) = Role::in_hello(&self.ask(socket, &[b"HELLO", b"2"]).await?) {
            let now = self.epoch.elapsed();
            self.role.heard(self.endpoint, role, asked, now);
        }
        if !done.commands {
            done.commands = self.learn(socket).await?;
        }
        if !self.busy.is_heard() && done.figures.is_none_or(|at| at.elapsed() >= POLL) {
            done.figures = Some(Instant::now());
            self.poll(socket).await?;
        }
        Ok(())
    }

    /// Carries orders out until it is time for the next health check.
    async fn carry_out(
        &mut self,
        line: &mut Option<BackendSocket>,
        done: &mut PollState,
    ) -> Result<(), String> {
        let interval = self.current.settings().health_interval;
        let next = Instant::now()
            + match self.busy.is_heard() {
                true => interval.min(WRITE_PATIENCE),
                false => interval,
            };
        while let Ok(order) = tokio::time::timeout_at(next, self.orders.recv()).await {
            match order {
                Some(ControlOrder::LearnCommands) => {}
                Some(ControlOrder::Reloaded) => break,
                None => return Err("narrows is ending".to_owned()),
            }
            // Who has just logged in may be allowed to ask.
            let other = self.ask_as_another(line).await;
            let learned = match (&other, line.as_mut()) {
                (Ok(_), Some(socket)) => self.learn(socket).await,
                _ => Err(CLOSED.to_owned()),
            };
            self.tell(Inbox::commands_learned);
            let other = other?;
            done.commands = learned?;
            if other {
                done.figures = None;
                break;
            }
        }
        Ok(())
    }

    /// While clients have paused writes through narrows: somebody else may have ended that. Only a
    /// write shows it, one that stores nothing; a connection on which that waits is closed.
    async fn ask_about_pause(
        &mut self,
        line: &mut Option<BackendSocket>,
        last: &mut Option<Instant>,
    ) -> Result<(), String> {
        let asked = self.epoch.elapsed();
        let is_new = asked.saturating_sub(self.pause.began_at()) < PAUSE_IS_NEW;
        let due = is_new || last.is_none_or(|at| at.elapsed() >= POLL);
        if self.pause.holds_up(asked) != Some(Paused::Writes) || !due {
            return Ok(());
        }
        *last = Some(Instant::now());
        let Some(mut socket) = line.take() else {
            return Err(CLOSED.to_owned());
        };
        let publish: [&[u8]; 3] = [b"PUBLISH", own_channel::PAUSE, b""];
        match timeout(WRITE_PATIENCE, self.ask(&mut socket, &publish)).await {
            Ok(Err(error)) => return Err(error),
            Ok(Ok(reply)) => {
                match element(&reply) {
                    Some(Element::Integer(_)) => {
                        let now = self.epoch.elapsed();
                        self.pause.answered(asked, now, Paused::Writes);
                    }
                    _ => self.pause.cannot_be_asked(),
                }
                *line = Some(socket);
            }
            Err(_) => {
                dial::close_gracefully(socket).await;
                *line = Some(self.connect().await?);
            }
        }
        Ok(())
    }

    /// What is to end a script that keeps the server busy has no other place than this one: it is
    /// given away until that is done.
    async fn give_place(&mut self, line: &mut Option<BackendSocket>) -> Result<(), String> {
        if !self.busy.is_place_asked_for() {
            return Ok(());
        }
        if let Some(socket) = line.take() {
            dial::close_gracefully(socket).await;
        }
        self.busy.offer_place();
        let until = Instant::now() + PLACE_LENT;
        while self.busy.is_place_offered() && Instant::now() < until {
            tokio::time::sleep(PLACE_POLL).await;
        }
        self.busy.end_offer();
        loop {
            match self.connect().await {
                Err(error) if error == PLACE_TAKEN && Instant::now() < until => {
                    tokio::time::sleep(PLACE_POLL).await;
                }
                outcome => {
                    *line = Some(outcome?);
                    return Ok(());
                }
            }
        }
    }

    /// Whether it is not narrows' own login that clients are served with.
    fn asks_nothing(&self) -> bool {
        self.current.rules().access.mode == AuthMode::Passthrough
            && self.current.settings().credentials.password.is_none()
    }

    /// What the server does not say on this connection it may say to a user that has logged in
    /// meanwhile. True: the connection is another.
    async fn ask_as_another(&mut self, line: &mut Option<BackendSocket>) -> Result<bool, String> {
        let was = self.asking.login().is_some();
        let other = match self.asks_nothing() {
            true => self.asking.takes_another(self.epoch.elapsed()),
            false => {
                self.asking.ends();
                was
            }
        };
        if other {
            if let Some(socket) = line.take() {
                dial::close_gracefully(socket).await;
            }
            *line = Some(self.connect().await?);
        } else if self.asks_nothing() {
            self.server.needs_login(self.asking.is_wanting());
            self.asking.tell();
            if let Some(error) = self.asking.denial().map(str::to_owned) {
                self.say_refused(&error);
            }
        }
        Ok(other)
    }

    fn say_refused(&mut self, error: &str) {
        let said = std::mem::replace(&mut self.command_refused, true);
        if !said && !self.current.rules().commands.is_learned() {
            tracing::warn!(error, "COMMAND is refused: narrows' own table rules");
        }
    }

    /// Asks for `COMMAND`. `Ok(false)`: not now (the server is loading, or busy).
    async fn learn(&mut self, socket: &mut BackendSocket) -> Result<bool, String> {
        let reply = self.ask(socket, &[b"COMMAND"]).await?;
        self.asking.heard_commands(&reply);
        if self.asking.is_denied_commands() && self.asks_nothing() {
            // Perhaps it says that to somebody else.
            return Ok(true);
        }
        if is_error(&reply, b"LOADING") || is_error(&reply, b"BUSY ") {
            return Ok(false);
        }
        if is_error(&reply, b"") {
            self.say_refused(&words(&reply));
            return Ok(true);
        }
        let rules = self.current.rules();
        let learned = CommandTable::builtin().learned_with(&reply, &rules.renames());
        match learned {
            Ok(commands) => {
                let rules = self.current.change_rules(|rules| Rules {
                    settings: rules.settings.clone(),
                    policy: rules.policy.clone(),
                    access: rules.access.clone(),
                    commands,
                });
                self.tell(|inbox| inbox.rules(&rules));
            }
            Err(error) => tracing::warn!(%error, "COMMAND is not understood"),
        }
        Ok(true)
    }

    fn tell_health(&self, told: &mut Option<bool>, answering: bool) {
        if answering || *told != Some(answering) {
            *told = Some(answering);
            let verdict = HealthVerdict {
                endpoint: self.endpoint,
                answering,
            };
            self.tell(|inbox| inbox.health(verdict));
        }
    }

    fn tell(&self, news: impl Fn(&Inbox)) {
        for inbox in &self.inboxes {
            // A worker that is gone needs none.
            news(inbox);
        }
    }
}
