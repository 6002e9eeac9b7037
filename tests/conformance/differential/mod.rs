//! The differential fuzzer: sessions of three clients, drawn from a seed, are held with a server
//! directly and then with the same server, emptied again, through narrows, and what each client
//! hears is compared byte by byte after each step. They hold every class of command, transactions
//! whole and in every cut, waits that others end, subscriptions, invalidations, silence, changes of
//! db, protocol and user, half-closes, and what is no request at all.
//!
//! A seed decides all of a session, and a step begins when all that came of the one before has come;
//! so what is heard depends on nothing else. One that goes differently is made as small as it can be
//! and shown with its seed. What may differ stands in `differences.rs`, each with its reason.
//!
//! ```text
//! cargo nextest run --test conformance differential        # some sessions in each setting
//! make sessions SESSIONS=20000 SEED=1                      # many, optimised
//! NARROWS_SESSIONS=1 NARROWS_SEED=17 cargo nextest run --test conformance sessions_of_users
//! NARROWS_SIDE_BY_SIDE=4 NARROWS_GO_ON=1 NARROWS_SERVERS=valkey-9.1 ...   # see run.rs
//! ```

mod direct;
mod equivalence;
mod generate;
mod needs;
mod observer;
mod run;
mod session;
mod setting;
mod shrink;
mod state;
mod subscriptions;
mod through;

#[test]
fn sessions_with_the_default_settings_are_answered_as_directly() {
    run::sessions(&setting::DEFAULT);
}

#[test]
fn sessions_over_tls_on_both_sides_are_answered_as_directly() {
    run::sessions(&setting::OVER_TLS);
}

#[test]
fn sessions_over_two_backends_are_answered_as_directly() {
    run::sessions(&setting::TWO_BACKENDS);
}

#[test]
fn sessions_over_three_backends_are_answered_as_directly() {
    run::sessions(&setting::THREE_BACKENDS);
}

#[test]
fn sessions_with_every_bound_at_its_least_are_answered_as_directly() {
    run::sessions(&setting::LEAST);
}

#[test]
fn sessions_of_users_of_the_server_are_answered_as_directly() {
    run::sessions(&setting::PASSTHROUGH);
}
