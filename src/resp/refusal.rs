//! Every error text that narrows itself can send to a client. Where Redis has words for a case
//! they are used byte for byte, since client libraries match on them; the rest begins with
//! `narrows:` behind the code, so that an operator sees at once who spoke. Nothing here decides
//! when to refuse.

mod argument;
mod labels;
mod text;

use super::args::Args;
use super::write;

use self::text::{joined, quoted, until_nul};
use super::violation::ProtocolError;

pub use argument::Argument;

/// Why a request was answered with an error by narrows instead of being carried to a backend.
#[derive(Clone, Debug)]
pub enum Refusal<'a> {
    /// The bytes are no request; the client is closed after the answer.
    Protocol(ProtocolError),
    /// More clients than `max_clients`; closed after the answer.
    MaxClients,
    /// A client of another machine where nobody has to log in; closed after the answer.
    Protected,
    /// Neither the table nor the backend knows the command. `frame` is the whole request.
    UnknownCommand {
        /// The complete canonical request.
        frame: &'a [u8],
    },
    /// The command is a container and has no such subcommand.
    UnknownSubcommand {
        /// The container's name, in any case.
        command: &'a str,
        /// The subcommand as the client wrote it.
        subcommand: &'a [u8],
    },
    /// Too few or too many arguments.
    Arity {
        /// The full name in lower case, `client|kill` for a subcommand.
        command: &'a str,
    },
    /// The client has to log in first.
    NoAuth,
    /// The same to `EXEC`.
    ExecNoAuth,
    /// User and password do not match.
    WrongPass,
    /// As many logins from this address have failed as may.
    TooManyFailures,
    /// A command that needs a connection for itself by a client that holds one for something else.
    NotOnLease {
        /// The full name in lower case.
        command: &'a str,
    },
    /// A login as another user by a client that holds a connection as this one.
    LoginOnLease,
    /// `AUTH <password>` where no password is configured.
    AuthWithoutPassword,
    /// `HELLO` with a number other than 2 and 3.
    HelloVersion,
    /// `HELLO` with something that is no number.
    HelloVersionNotInteger,
    /// `HELLO` without `AUTH` by a client that has to log in first.
    HelloNoAuth,
    /// `HELLO` with an unknown or incomplete option.
    HelloOption {
        /// The option as the client wrote it.
        option: &'a [u8],
    },
    /// A command that no transaction may contain.
    NotInsideTransaction,
    /// `EXEC` after a command that was refused at queue time.
    ExecAborted,
    /// `EXEC` of a transaction whose connection was lost.
    TransactionLost,
    /// A command inside such a transaction.
    InLostTransaction,
    /// The user has no right to a command that narrows answers itself.
    NoPermission {
        /// The full name in lower case, `client|kill` for a subcommand.
        command: &'a str,
    },
    /// Arguments of a command that narrows answers itself are wrong.
    Argument(Argument<'a>),
    /// The command has not run and may be tried again.
    NotExecuted(NotExecuted<'a>),
    /// The backend was lost with the command on its way: it may have run.
    UnknownOutcome,
    /// `request_timeout` has passed with the command on its way: it may have run.
    RequestTimeout,
    /// A login of a client that is subscribed in RESP2.
    Subscribed {
        /// The full name in lower case.
        command: &'a str,
    },
    /// `WAIT` where narrows may not publish: what it would tell is not about the client's writes.
    OffsetUnmoved,
    /// `CLIENT TRACKING ... REDIRECT`: the id would be one of narrows', not of the server.
    TrackingRedirect,
    /// The command makes no sense through a multiplexer (`SYNC`, `SCRIPT DEBUG`).
    NotForwarded {
        /// The full name in lower case.
        command: &'a str,
    },
    /// The operator denies the command, or has not allowed it.
    Forbidden {
        /// The full name in lower case.
        command: &'a str,
    },
    /// A script by a client for whom commands are denied that it could run.
    Scripts,
    /// The backend is a Redis Cluster node.
    Cluster,
    /// A huge request came in below the minimum rate; closed after the answer.
    UploadTooSlow,
    /// A command whose arguments or replies narrows looks at, longer than is collected for one.
    TooLarge,
    /// The backend answered with bytes that are no reply; the command may have run.
    BackendProtocol,
}

/// Why a command has not run. Each is a sentence in the reply and a label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotExecuted<'a> {
    /// No backend is connected.
    NoBackend {
        /// What the last attempt to connect said; empty before the first one has ended.
        last_error: &'a str,
    },
    /// The request waited longer for a backend than the queue deadline allows.
    QueueTimeout,
    /// As many requests wait for a backend as may.
    QueueFull,
    /// Every connection of the budget is in use and none could be made free.
    BudgetSpent,
    /// narrows is shutting down.
    Draining,
    /// The backend was lost before the whole command had left.
    BackendLost,
    /// The backend refuses narrows' own credentials.
    BackendAuth,
}

impl Refusal<'_> {
    /// Appends the error reply; nothing for a refusal without words (HTTP).
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Protocol(error) => {
                if let Some(text) = error.text() {
                    write::error_bytes(out, &joined(&[b"ERR Protocol error: ", &text]));
                }
            }
            Self::UnknownCommand { frame } => unknown_command(out, frame),
            Self::UnknownSubcommand {
                command,
                subcommand,
            } => {
                let command = command.to_ascii_uppercase();
                quoted(
                    out,
                    b"ERR unknown subcommand '",
                    printed(subcommand),
                    &[b"'. Try ", command.as_bytes(), b" HELP."],
                );
            }
            // `EXEC` that is not taken discards its transaction (`execCommandAbort`, multi.c).
            Self::Arity { command: "exec" } => write::error(out, EXEC_ARITY),
            Self::Arity { command } => quoted(
                out,
                b"ERR wrong number of arguments for '",
                command.as_bytes(),
                &[b"' command"],
            ),
            Self::HelloOption { option } => quoted(
                out,
                b"ERR Syntax error in HELLO option '",
                until_nul(option),
                &[b"'"],
            ),
            Self::NoPermission { command } => quoted(
                out,
                b"NOPERM this user has no permissions to run the '",
                command.as_bytes(),
                &[b"' command"],
            ),
            Self::Argument(argument) => argument.write(out),
            Self::NotExecuted(why) => why.write(out),
            Self::Subscribed { command } => subscribed(out, command),
            Self::NotOnLease { command } => quoted(
                out,
                b"ERR narrows: '",
                command.as_bytes(),
                &[b"' is not possible while a transaction or subscription is open"],
            ),
            Self::NotForwarded { command } => quoted(
                out,
                b"ERR narrows: '",
                command.as_bytes(),
                &[b"' cannot pass through a connection multiplexer"],
            ),
            Self::Forbidden { command } => quoted(
                out,
                b"NOPERM narrows: '",
                command.as_bytes(),
                &[b"' is not allowed; see [commands] and the user in the configuration"],
            ),
            other => write::error(out, other.fixed().1),
        }
    }

    /// Whether it says that narrows could not carry out what the server would have: who asked for
    /// silence is disconnected for it, as the server itself would have had to do. Other refusals a
    /// client that hears nothing misses directly too.
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::NotExecuted(_) | Self::TransactionLost | Self::InLostTransaction
        )
    }

    /// The label of this refusal in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Protocol(error) => error.label(),
            Self::NotExecuted(why) => why.fixed().0,
            other => other.fixed().0,
        }
    }

    /// Whether the client is closed once the answer has been written.
    pub fn closes(&self) -> bool {
        matches!(
            self,
            Self::Protocol(_) | Self::MaxClients | Self::Protected | Self::UploadTooSlow
        )
    }

    /// The same for what is said of `AUTH` and `HELLO`.
    fn about_login(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoAuth => ("noauth", "NOAUTH Authentication required."),
            Self::ExecNoAuth => ("noauth", EXEC_NOAUTH),
            Self::WrongPass => (
                "wrongpass",
                "WRONGPASS invalid username-password pair or user is disabled.",
            ),
            Self::TooManyFailures => (
                "too_many_failures",
                "ERR narrows: too many failed logins from this address, try again later",
            ),
            Self::LoginOnLease => (
                "login_on_lease",
                "ERR narrows: a transaction or subscription is open; end it before you log in as \
                 another user",
            ),
            Self::AuthWithoutPassword => ("auth_without_password", AUTH_WITHOUT_PASSWORD),
            Self::HelloVersion => ("hello_version", "NOPROTO unsupported protocol version"),
            Self::HelloVersionNotInteger => (
                "hello_version",
                "ERR Protocol version is not an integer or out of range",
            ),
            Self::HelloNoAuth => ("noauth", HELLO_NOAUTH),
            _ => ("hello_option", ""),
        }
    }

    /// Label, and the text where it does not depend on the request.
    fn fixed(&self) -> (&'static str, &'static str) {
        match self {
            Self::Protocol(error) => (error.label(), ""),
            Self::MaxClients => ("max_clients", "ERR max number of clients reached"),
            Self::Protected => ("protected", PROTECTED),
            Self::UnknownCommand { .. } => ("unknown_command", ""),
            Self::UnknownSubcommand { .. } => ("unknown_subcommand", ""),
            Self::Arity { .. } => ("arity", ""),
            Self::NoAuth
            | Self::ExecNoAuth
            | Self::WrongPass
            | Self::TooManyFailures
            | Self::LoginOnLease
            | Self::AuthWithoutPassword
            | Self::HelloVersion
            | Self::HelloVersionNotInteger
            | Self::HelloNoAuth
            | Self::HelloOption { .. } => self.about_login(),
            Self::NotInsideTransaction => (
                "transaction",
                "ERR Command not allowed inside a transaction",
            ),
            Self::ExecAborted => (
                "execabort",
                "EXECABORT Transaction discarded because of previous errors.",
            ),
            Self::TransactionLost => (
                "transaction_lost",
                "EXECABORT Transaction discarded because of: backend connection lost",
            ),
            Self::InLostTransaction => (
                "transaction_lost",
                "ERR narrows: backend connection lost inside the transaction, which cannot be executed",
            ),
            Self::NoPermission { .. } => ("noperm", ""),
            Self::Argument(_) => ("argument", ""),
            Self::NotExecuted(why) => why.fixed(),
            Self::UnknownOutcome => (
                "unknown_outcome",
                "ERR narrows: backend connection lost; the command may have run",
            ),
            Self::RequestTimeout => (
                "request_timeout",
                "ERR narrows: no reply within request_timeout; the command may have run",
            ),
            Self::Subscribed { .. } => ("subscribed", ""),
            Self::OffsetUnmoved => ("offset_unmoved", OFFSET_UNMOVED),
            Self::TrackingRedirect => ("tracking_redirect", TRACKING_REDIRECT),
            Self::NotForwarded { .. } => ("not_forwarded", ""),
            Self::NotOnLease { .. } => ("not_on_lease", ""),
            Self::Forbidden { .. } => ("forbidden", ""),
            Self::Scripts => ("scripts", SCRIPTS),
            Self::Cluster => (
                "cluster",
                "ERR narrows: the backend is a Redis Cluster node, which this version does not support",
            ),
            Self::UploadTooSlow => (
                "upload_too_slow",
                "ERR narrows: the request came in too slowly and has been dropped",
            ),
            Self::TooLarge => (
                "too_large",
                "ERR narrows: this command is limited to big_request_bytes",
            ),
            Self::BackendProtocol => (
                "backend_protocol",
                "ERR narrows: the backend sent an invalid reply; the command may have run",
            ),
        }
    }
}

impl NotExecuted<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (_, why) = self.fixed();
        match self {
            Self::NoBackend { last_error } if !last_error.is_empty() => write::error_bytes(
                out,
                &joined(&[
                    NOT_EXECUTED,
                    why.as_bytes(),
                    b": ",
                    cut(last_error.as_bytes(), ECHOED_BYTES_MAX),
                ]),
            ),
            _ => write::error_bytes(out, &joined(&[NOT_EXECUTED, why.as_bytes()])),
        }
    }

    fn fixed(self) -> (&'static str, &'static str) {
        match self {
            Self::NoBackend { .. } => ("no_backend", "no backend is connected"),
            Self::QueueTimeout => ("queue_timeout", "no backend became free in time"),
            Self::QueueFull => ("queue_full", "too many requests wait for a backend"),
            Self::BudgetSpent => ("budget_spent", "all backend connections are in use"),
            Self::Draining => ("draining", "narrows is shutting down"),
            Self::BackendLost => (
                "backend_lost",
                "backend connection lost before all of the command had left",
            ),
            Self::BackendAuth => ("backend_auth", "the backend refuses narrows' credentials"),
        }
    }
}

/// Redis' `-ERR unknown command`, which repeats the request's beginning.
fn unknown_command(out: &mut Vec<u8>, frame: &[u8]) {
    let mut args = Args::new(frame);
    let name = args.next().unwrap_or_default();
    let mut beginning = Vec::new();
    for arg in args.beginnings() {
        if beginning.len() >= ECHOED_BYTES_MAX {
            break;
        }
        let room = ECHOED_BYTES_MAX - beginning.len();
        beginning.push(b'\'');
        beginning.extend_from_slice(cut(until_nul(arg), room));
        beginning.extend_from_slice(b"' ");
    }
    quoted(
        out,
        b"ERR unknown command '",
        printed(name),
        &[b"', with args beginning with: ", &beginning],
    );
}

fn subscribed(out: &mut Vec<u8>, command: &str) {
    let tail = [SUBSCRIBED.as_bytes()];
    quoted(out, b"ERR Can't execute '", command.as_bytes(), &tail);
}

/// What C's `%.128s` prints of a string: 128 bytes at most, and none from a NUL on.
fn printed(bytes: &[u8]) -> &[u8] {
    cut(until_nul(bytes), ECHOED_BYTES_MAX)
}

fn cut(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

/// How much of a request Redis repeats in an error: `%.128s`.
const ECHOED_BYTES_MAX: usize = 128;

/// What a RESP2 client may ask while it is subscribed (`processCommand`, server.c).
const SUBSCRIBED: &str = "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
     context";

const SCRIPTS: &str = "NOPERM narrows: scripts are refused, as they could run commands that are denied; see \
                       scripts in the configuration";

const OFFSET_UNMOVED: &str =
    "ERR narrows: WAIT needs the right to PUBLISH to the channel __narrows:offset";

const TRACKING_REDIRECT: &str =
    "ERR narrows: REDIRECT is not supported; track over RESP3 without it";

/// Redis' own word for "not executed, try again"; some client libraries act on it.
const NOT_EXECUTED: &[u8] = b"TRYAGAIN narrows: ";

const EXEC_ARITY: &str = "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' \
     command";

const EXEC_NOAUTH: &str =
    "EXECABORT Transaction discarded because of: NOAUTH Authentication required.";

const AUTH_WITHOUT_PASSWORD: &str = "ERR AUTH <password> called without any password configured \
     for the default user. Are you sure your configuration is correct?";

const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, \
     otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client \
     and select the RESP protocol version at the same time";

/// `clientAcceptHandler`, networking.c.
const PROTECTED: &str = "DENIED Redis is running in protected mode because protected mode is \
     enabled and no password is set for the default user. In this mode connections are only \
     accepted from the loopback interface. If you want to connect from external computers to \
     Redis you may adopt one of the following solutions: 1) Just disable protected mode sending \
     the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis \
     from the same host the server is running, however MAKE SURE Redis is not publicly accessible \
     from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) \
     Alternatively you can just disable the protected mode by editing the Redis configuration \
     file, and setting the protected mode option to 'no', and then restarting the server. 3) If \
     you started the server manually just for testing, restart it with the '--protected-mode no' \
     option. 4) Setup a an authentication password for the default user. NOTE: You only need to do \
     one of the above things in order for the server to start accepting connections from the \
     outside.";

#[cfg(test)]
mod tests;
