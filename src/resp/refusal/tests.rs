//! Golden texts: what Redis 7.0 says in each case, byte for byte, and narrows' own words.

use super::*;

fn text(refusal: &Refusal<'_>) -> String {
    // A connection that is rejected counts elsewhere (`RejectCounts`).
    let label = refusal.label();
    assert!(
        label == "max_clients" || Refusal::LABELS.contains(&label),
        "{label} is missing in Refusal::LABELS"
    );
    let mut out = Vec::new();
    refusal.write(&mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    if !text.is_empty() {
        let line = text.strip_suffix("\r\n").unwrap();
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        return line.to_owned();
    }
    text
}

fn unknown(args: &[&[u8]]) -> String {
    let mut frame = Vec::new();
    write::request(&mut frame, args);
    text(&Refusal::UnknownCommand { frame: &frame })
}

#[test]
fn protocol_errors_have_the_words_of_redis() {
    let cases = [
        (ProtocolError::TooBigInline, "too big inline request"),
        (
            ProtocolError::UnbalancedQuotes,
            "unbalanced quotes in request",
        ),
        (
            ProtocolError::TooBigMultibulkHeader,
            "too big mbulk count string",
        ),
        (
            ProtocolError::InvalidMultibulkLength,
            "invalid multibulk length",
        ),
        (
            ProtocolError::UnauthenticatedMultibulkLength,
            "unauthenticated multibulk length",
        ),
        (ProtocolError::TooBigBulkHeader, "too big bulk count string"),
        (ProtocolError::ExpectedDollar(b'x'), "expected '$', got 'x'"),
        (
            ProtocolError::ExpectedDollar(b'\n'),
            "expected '$', got ' '",
        ),
        (ProtocolError::InvalidBulkLength, "invalid bulk length"),
        (
            ProtocolError::UnauthenticatedBulkLength,
            "unauthenticated bulk length",
        ),
    ];
    for (error, words) in cases {
        let refusal = Refusal::Protocol(error);
        assert_eq!(text(&refusal), format!("-ERR Protocol error: {words}"));
        assert!(refusal.closes());
    }
}

#[test]
fn http_is_closed_without_a_word() {
    let refusal = Refusal::Protocol(ProtocolError::Http);
    assert_eq!(text(&refusal), "");
    assert!(refusal.closes());
    assert_eq!(refusal.label(), "http");
}

#[test]
fn an_unknown_command_is_repeated_with_its_arguments() {
    assert_eq!(
        unknown(&[b"foo", b"a", b"b"]),
        "-ERR unknown command 'foo', with args beginning with: 'a' 'b' "
    );
    assert_eq!(
        unknown(&[b"foo"]),
        "-ERR unknown command 'foo', with args beginning with: "
    );
    assert_eq!(
        unknown(&[b"f\r\no", b"a\r\nb", b"c\0d"]),
        "-ERR unknown command 'f  o', with args beginning with: 'a  b' 'c' "
    );
}

#[test]
fn what_is_repeated_of_a_request_is_bounded() {
    let (x, y, z, n) = (
        "x".repeat(50),
        "y".repeat(50),
        "z".repeat(22),
        "n".repeat(128),
    );
    let long = [b'z'; 50];
    assert_eq!(
        unknown(&[b"foo", x.as_bytes(), y.as_bytes(), &long, b"w"]),
        format!("-ERR unknown command 'foo', with args beginning with: '{x}' '{y}' '{z}' ")
    );
    assert_eq!(
        unknown(&[&[b'n'; 200], b"a"]),
        format!("-ERR unknown command '{n}', with args beginning with: 'a' ")
    );
    let subcommand = Refusal::UnknownSubcommand {
        command: "client",
        subcommand: &[b'n'; 200],
    };
    assert_eq!(
        text(&subcommand),
        format!("-ERR unknown subcommand '{n}'. Try CLIENT HELP.")
    );
}

#[test]
fn refusals_that_redis_knows_have_its_words() {
    let cases = [
        (Refusal::MaxClients, "-ERR max number of clients reached"),
        (
            Refusal::Protected,
            "-DENIED Redis is running in protected mode because protected mode is enabled and no \
             password is set for the default user. In this mode connections are only accepted \
             from the loopback interface. If you want to connect from external computers to Redis \
             you may adopt one of the following solutions: 1) Just disable protected mode sending \
             the command 'CONFIG SET protected-mode no' from the loopback interface by connecting \
             to Redis from the same host the server is running, however MAKE SURE Redis is not \
             publicly accessible from internet if you do so. Use CONFIG REWRITE to make this \
             change permanent. 2) Alternatively you can just disable the protected mode by editing \
             the Redis configuration file, and setting the protected mode option to 'no', and \
             then restarting the server. 3) If you started the server manually just for testing, \
             restart it with the '--protected-mode no' option. 4) Setup a an authentication \
             password for the default user. NOTE: You only need to do one of the above things in \
             order for the server to start accepting connections from the outside.",
        ),
        (
            Refusal::Arity {
                command: "client|kill",
            },
            "-ERR wrong number of arguments for 'client|kill' command",
        ),
        (Refusal::NoAuth, "-NOAUTH Authentication required."),
        (
            Refusal::WrongPass,
            "-WRONGPASS invalid username-password pair or user is disabled.",
        ),
        (
            Refusal::AuthWithoutPassword,
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        (
            Refusal::HelloVersion,
            "-NOPROTO unsupported protocol version",
        ),
        (
            Refusal::HelloVersionNotInteger,
            "-ERR Protocol version is not an integer or out of range",
        ),
        (
            Refusal::HelloNoAuth,
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ),
        (
            Refusal::HelloOption { option: b"foo" },
            "-ERR Syntax error in HELLO option 'foo'",
        ),
        (
            Refusal::NotInsideTransaction,
            "-ERR Command not allowed inside a transaction",
        ),
        (
            Refusal::ExecAborted,
            "-EXECABORT Transaction discarded because of previous errors.",
        ),
        (
            Refusal::NoPermission {
                command: "client|list",
            },
            "-NOPERM this user has no permissions to run the 'client|list' command",
        ),
    ];
    for (refusal, words) in cases {
        assert_eq!(text(&refusal), words);
    }
}

#[test]
fn wrong_arguments_of_local_commands_have_the_words_of_redis() {
    let cases = [
        (Argument::Syntax, "-ERR syntax error"),
        (
            Argument::NotInteger,
            "-ERR value is not an integer or out of range",
        ),
        (
            Argument::NotInt32,
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        (Argument::DbIndex, "-ERR DB index is out of range"),
        (
            Argument::ClientName,
            "-ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        (
            Argument::ClientAttribute {
                attribute: b"lib-name",
            },
            "-ERR lib-name cannot contain spaces, newlines or special characters.",
        ),
        (
            Argument::UnknownAttribute { attribute: b"lib" },
            "-ERR Unrecognized option 'lib'",
        ),
        (Argument::NoSuchClient, "-ERR No such client"),
        (
            Argument::ClientIdNotPositive,
            "-ERR client-id should be greater than 0",
        ),
        (Argument::InvalidClientId, "-ERR Invalid client ID"),
        (
            Argument::UnknownClientType { name: b"x" },
            "-ERR Unknown client type 'x'",
        ),
        (Argument::NoSuchUser { user: b"u" }, "-ERR No such user 'u'"),
        (
            Argument::UnblockReason,
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
        ),
        (
            Argument::UnblockForm,
            "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.",
        ),
    ];
    for (argument, words) in cases {
        assert_eq!(text(&Refusal::Argument(argument)), words);
    }
}

#[test]
fn what_has_not_run_may_be_tried_again() {
    let whys = [
        NotExecuted::NoBackend { last_error: "" },
        NotExecuted::NoBackend {
            last_error: "connection\r\nrefused",
        },
        NotExecuted::QueueTimeout,
        NotExecuted::QueueFull,
        NotExecuted::BudgetSpent,
        NotExecuted::Draining,
        NotExecuted::BackendLost,
        NotExecuted::BackendAuth,
    ];
    for why in whys {
        let refusal = Refusal::NotExecuted(why);
        assert!(text(&refusal).starts_with("-TRYAGAIN narrows: "), "{why:?}");
        assert!(!refusal.label().is_empty());
        assert!(!refusal.closes());
    }
    assert_eq!(
        text(&Refusal::NotExecuted(whys[1])),
        "-TRYAGAIN narrows: no backend is connected: connection  refused"
    );
}

#[test]
fn an_unknown_outcome_is_never_a_code_that_libraries_replay_on() {
    for refusal in [
        Refusal::UnknownOutcome,
        Refusal::RequestTimeout,
        Refusal::BackendProtocol,
    ] {
        let text = text(&refusal);
        assert!(text.starts_with("-ERR narrows: "), "{text}");
        assert!(text.ends_with("; the command may have run"), "{text}");
    }
}

#[test]
fn narrows_own_refusals_say_who_speaks() {
    let cases = [
        (
            Refusal::NotOnLease {
                command: "script|kill",
            },
            "-ERR narrows: 'script|kill' is not possible while a transaction or subscription is open",
        ),
        (
            Refusal::NotForwarded { command: "psync" },
            "-ERR narrows: 'psync' cannot pass through a connection multiplexer",
        ),
        (
            Refusal::Forbidden {
                command: "shutdown",
            },
            "-NOPERM narrows: 'shutdown' is not allowed; see [commands] and the user in the configuration",
        ),
        (
            Refusal::Scripts,
            "-NOPERM narrows: scripts are refused, as they could run commands that are denied; see scripts in the configuration",
        ),
        (
            Refusal::Cluster,
            "-ERR narrows: the backend is a Redis Cluster node, which this version does not support",
        ),
        (
            Refusal::UploadTooSlow,
            "-ERR narrows: the request came in too slowly and has been dropped",
        ),
        (
            Refusal::OffsetUnmoved,
            "-ERR narrows: WAIT needs the right to PUBLISH to the channel __narrows:offset",
        ),
        (
            Refusal::Subscribed { command: "auth" },
            "-ERR Can't execute 'auth': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context",
        ),
        (
            Refusal::TrackingRedirect,
            "-ERR narrows: REDIRECT is not supported; track over RESP3 without it",
        ),
        (
            Refusal::TooLarge,
            "-ERR narrows: this command is limited to big_request_bytes",
        ),
    ];
    for (refusal, words) in cases {
        assert_eq!(text(&refusal), words);
    }
}

#[test]
fn a_subscriber_is_told_what_it_may_ask() {
    assert_eq!(
        text(&Refusal::Subscribed { command: "auth" }),
        "-ERR Can't execute 'auth': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
    );
}

#[test]
fn an_exec_that_is_not_taken_says_that_nothing_of_it_runs() {
    for (refusal, why) in [
        (
            Refusal::Arity { command: "exec" },
            "wrong number of arguments for 'exec' command",
        ),
        (Refusal::ExecNoAuth, "NOAUTH Authentication required."),
    ] {
        let mut out = Vec::new();
        refusal.write(&mut out);
        let expected = format!("-EXECABORT Transaction discarded because of: {why}\r\n");
        assert_eq!(out, expected.as_bytes());
    }
}
