//! Conversations with TLS on both sides of narrows: some of each kind. `make test-tls` holds all of them so.

use super::conversation::conversations;
use super::fixture::Fixture;
use super::{connection, data, streams, transactions, waiting};
use crate::support::{Flavor, tls};

#[test]
fn what_is_said_over_tls_is_answered_as_directly() {
    let fixture = tls::on_both_sides(|| Fixture::new(Flavor::Redis));
    fixture.compare(&conversations(data::CONVERSATIONS));
    fixture.compare(&conversations(connection::CONVERSATIONS));
    fixture.compare(&conversations(transactions::CONVERSATIONS));
    fixture.compare_as_they_are(&conversations(waiting::CONVERSATIONS));
    fixture.compare_as_they_are(&conversations(streams::RESP3));
}
