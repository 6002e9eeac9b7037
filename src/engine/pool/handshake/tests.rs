//! The steps of a handshake, and what each reply means.

use super::*;

fn resp3(db: u32) -> Context {
    Context {
        protocol: Protocol::Resp3,
        db,
        ..Context::default()
    }
}

fn names(steps: &[(HandshakeStep, Vec<u8>)]) -> Vec<HandshakeStep> {
    steps.iter().map(|(step, _)| *step).collect()
}

#[test]
fn an_opening_logs_in_first_and_selects_last() {
    let identity = Identity {
        name: "narrows:x:1".into(),
    };
    let login = BackendLogin {
        user: Some(b"app"[..].into()),
        password: Some(b"secret"[..].into()),
    };
    let steps = opening(&identity, &login, resp3(5), Whose::Own, ByCertificate::Kept);
    assert_eq!(
        names(&steps),
        [
            HandshakeStep::Auth,
            HandshakeStep::Hello,
            HandshakeStep::SetName,
            HandshakeStep::NoEvict,
            HandshakeStep::Select
        ]
    );
    assert_eq!(steps[1].1, b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
}

#[test]
fn who_may_not_select_logs_in_where_it_was_or_not_at_all() {
    let login = BackendLogin {
        user: None,
        password: Some(b"secret"[..].into()),
    };
    let (whose, impossible) = (Whose::WithoutSelect, ByCertificate::Impossible);
    let steps = opening(&Identity::default(), &login, resp3(5), whose, impossible);
    assert_eq!(
        names(&steps),
        [
            HandshakeStep::SelectBefore,
            HandshakeStep::Auth,
            HandshakeStep::Hello
        ]
    );
    for refusal in ["-NOAUTH Authentication required.", "-NOPERM no", "-ERR no"] {
        let refusal = format!("{refusal}\r\n");
        assert!(matches!(
            verdict_of(HandshakeStep::SelectBefore, refusal.as_bytes(), resp3(5)),
            HandshakeVerdict::Failed(Failure::DbBefore(_))
        ));
    }
}

#[test]
fn what_nothing_logs_in_is_asked_who_it_is_where_a_certificate_may_have() {
    let nobody = BackendLogin::default();
    let steps = |whose, by_certificate| {
        let identity = Identity::default();
        names(&opening(
            &identity,
            &nobody,
            resp3(0),
            whose,
            by_certificate,
        ))
    };
    let [hello, who] = [HandshakeStep::Hello, HandshakeStep::WhoAmI];
    let own = steps(Whose::Own, ByCertificate::Kept);
    assert_eq!(own[..2], [hello, who]);
    let clients = steps(Whose::Clients, ByCertificate::Reset);
    assert_eq!(clients, [HandshakeStep::Reset, hello, who]);
    assert!(!steps(Whose::Own, ByCertificate::Impossible).contains(&who));
    // The one that logs in afterwards must not be in a db that only narrows' user may select.
    let login = BackendLogin {
        user: None,
        password: Some(b"secret"[..].into()),
    };
    let (whose, reset) = (Whose::WithoutSelect, ByCertificate::Reset);
    let steps = opening(&Identity::default(), &login, resp3(5), whose, reset);
    assert_eq!(
        names(&steps)[..2],
        [HandshakeStep::Reset, HandshakeStep::SelectBefore]
    );
    assert!(!names(&steps).contains(&who));
}

#[test]
fn a_switch_changes_only_what_differs() {
    let from = resp3(0);
    assert_eq!(names(&switch(from, resp3(5))), [HandshakeStep::Select]);
    assert_eq!(
        names(&switch(Context::default(), resp3(5))),
        [HandshakeStep::Hello, HandshakeStep::Select]
    );
    assert!(switch(from, from).is_empty());
}

#[test]
fn a_refused_select_is_told_apart_from_a_refused_connection() {
    let db = verdict_of(
        HandshakeStep::Select,
        b"-ERR DB index is out of range\r\n",
        resp3(5),
    );
    assert!(matches!(db, HandshakeVerdict::Failed(Failure::Db(_))));
    let busy = verdict_of(HandshakeStep::Select, b"-BUSY Redis is busy\r\n", resp3(5));
    assert!(matches!(busy, HandshakeVerdict::Failed(Failure::Busy(_))));
    let full = verdict_of(
        HandshakeStep::Hello,
        b"-ERR max number of clients reached\r\n",
        resp3(5),
    );
    assert!(matches!(
        full,
        HandshakeVerdict::Failed(Failure::Refused(_))
    ));
    let auth = verdict_of(
        HandshakeStep::Hello,
        b"-NOAUTH HELLO must be called\r\n",
        resp3(5),
    );
    assert!(matches!(
        auth,
        HandshakeVerdict::Failed(Failure::Credentials(_))
    ));
    assert_eq!(
        verdict_of(HandshakeStep::NoEvict, b"-NOPERM no\r\n", resp3(5)),
        HandshakeVerdict::Fine
    );
}

#[test]
fn an_old_server_without_hello_serves_resp2_only() {
    let reply = b"-ERR unknown command `HELLO`, with args beginning with: `2`, \r\n";
    assert_eq!(
        verdict_of(HandshakeStep::Hello, reply, Context::default()),
        HandshakeVerdict::Fine
    );
    assert!(matches!(
        verdict_of(HandshakeStep::Hello, reply, resp3(5)),
        HandshakeVerdict::Failed(Failure::Protocol(_))
    ));
}

#[test]
fn a_cluster_node_is_recognised() {
    let hello = b"%2\r\n$5\r\nproto\r\n:3\r\n$4\r\nmode\r\n$7\r\ncluster\r\n";
    assert_eq!(
        verdict_of(HandshakeStep::Hello, hello, resp3(5)),
        HandshakeVerdict::Failed(Failure::Cluster)
    );
}

#[test]
fn the_clients_id_takes_the_place_of_the_backends() {
    let reply = b"*4\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:91\r\n";
    assert_eq!(
        hello_for_client(reply, 1234),
        b"*4\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1234\r\n"
    );
}
