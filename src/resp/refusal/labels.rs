//! The labels of refusals, listed: what is counted by label is counted from 0.

use super::Refusal;

impl Refusal<'_> {
    /// All labels that answers to requests can have.
    pub const LABELS: &'static [&'static str] = &[
        "argument",
        "arity",
        "auth_without_password",
        "backend_auth",
        "backend_lost",
        "backend_protocol",
        "budget_spent",
        "cluster",
        "draining",
        "execabort",
        "forbidden",
        "hello_option",
        "hello_version",
        "http",
        "huge_request",
        "login_on_lease",
        "max_clients_of_user",
        "needs_lease",
        "no_backend",
        "noauth",
        "noperm",
        "not_forwarded",
        "protected",
        "protocol",
        "protocol_unauthenticated",
        "queue_full",
        "queue_timeout",
        "refused_by_server",
        "request_timeout",
        "subscribed",
        "too_large",
        "too_many_failures",
        "tracking_redirect",
        "transaction",
        "transaction_lost",
        "unknown_command",
        "unknown_outcome",
        "unknown_subcommand",
        "upload_too_slow",
        "wrongpass",
    ];
}
