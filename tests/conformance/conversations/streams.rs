//! Conversations in which the server pushes: messages and invalidations. Each ends with
//! nothing subscribed, so that no `PUBLISH` of the next one counts who is just leaving.

/// `raw: ""` sends nothing: it hears what comes next.
pub const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "a channel",
        "SUBSCRIBE a\n2>PUBLISH a one\n2>PUBLISH b no\n2>PUBLISH a two\nraw: \"\"\nraw: \"\"\nUNSUBSCRIBE a\n2>PUBLISH a three\nPING\nGET k",
    ),
    (
        "several in one request",
        "SUBSCRIBE a b a c\nraw: \"\"\nraw: \"\"\nraw: \"\"\n2>PUBLISH c m\nraw: \"\"\nUNSUBSCRIBE a b x c\nraw: \"\"\nraw: \"\"\nraw: \"\"\nPING\nCLIENT GETNAME",
    ),
    (
        "patterns and channels",
        "PSUBSCRIBE a* ab*\nraw: \"\"\nSUBSCRIBE abc\n2>PUBLISH abc m\nraw: \"\"\nraw: \"\"\nraw: \"\"\nUNSUBSCRIBE abc\nPUNSUBSCRIBE a* ab*\nraw: \"\"\nECHO over",
    ),
    (
        "shard channels",
        "SSUBSCRIBE s\nSUBSCRIBE a\n2>SPUBLISH s m\nraw: \"\"\nSUNSUBSCRIBE\nUNSUBSCRIBE\nECHO over",
    ),
    (
        "nothing is subscribed",
        "UNSUBSCRIBE\nPING\nPUNSUBSCRIBE\nSUNSUBSCRIBE\nGET k\nSUBSCRIBE a\nPUNSUBSCRIBE\nUNSUBSCRIBE\nGET k",
    ),
    (
        "channels that are not",
        "SUBSCRIBE a\nUNSUBSCRIBE x y\nraw: \"\"\nUNSUBSCRIBE\nGET k",
    ),
    (
        "all of a kind",
        "SUBSCRIBE a\nPSUBSCRIBE p\nSSUBSCRIBE s\nUNSUBSCRIBE\nPUNSUBSCRIBE\nSUNSUBSCRIBE\nGET k",
    ),
    (
        "what may be asked meanwhile",
        "SET k v\nSUBSCRIBE a\nPING\nPING word\nGET k\nCLIENT GETNAME\nSELECT 1\nAUTH a b\nHELLO 3 AUTH a b\nMULTI\nEXEC\nDISCARD\nWATCH k\nBLPOP l 0.01\nCLIENT REPLY\nCLIENT TRACKINGINFO\nNOTHING\nSUBSCRIBE\nUNSUBSCRIBE\nGET k",
    ),
    (
        "reset ends it",
        "SUBSCRIBE a\nRESET\n2>PUBLISH a m\nPING\nSUBSCRIBE a\nRESET\nGET k",
    ),
    ("and so does quit", "SUBSCRIBE a\n!QUIT"),
    (
        "wrong words",
        "SUBSCRIBE\nPSUBSCRIBE\nSSUBSCRIBE\nSUBSCRIBE a\nSUBSCRIBE\nUNSUBSCRIBE",
    ),
    (
        "behind a transaction",
        "WATCH k\nMULTI\nSET k v\nEXEC\nSUBSCRIBE a\nUNSUBSCRIBE a\nMULTI\nGET k\nEXEC",
    ),
    (
        "between watch and exec",
        "WATCH k\nSUBSCRIBE a\nUNSUBSCRIBE a\nMULTI\nGET k\nEXEC\nGET k",
    ),
    (
        "silence does not silence it",
        "~CLIENT REPLY OFF\nSUBSCRIBE a\n2>PUBLISH a m\nraw: \"\"\nUNSUBSCRIBE a\nCLIENT REPLY ON\nGET k",
    ),
    (
        "skipped",
        "~CLIENT REPLY SKIP\nSUBSCRIBE a b\nraw: \"\"\n2>PUBLISH a m\nraw: \"\"\nUNSUBSCRIBE a b\nraw: \"\"\nGET k",
    ),
    (
        "the server counts",
        "SUBSCRIBE a\n2>PUBSUB NUMSUB a b\n2>PUBSUB CHANNELS\nPSUBSCRIBE p*\n2>PUBSUB NUMPAT\n2>PUBLISH nobody m\nUNSUBSCRIBE\nPUNSUBSCRIBE\n2>PUBSUB NUMPAT",
    ),
    (
        "databases do not matter",
        "SELECT 3\nSET k three\nSUBSCRIBE a\n2>PUBLISH a m\nraw: \"\"\nUNSUBSCRIBE\nGET k",
    ),
    ("long names and messages", LONG),
    (
        "a message to oneself",
        "SUBSCRIBE a\nUNSUBSCRIBE a\nPUBLISH a m\nPING",
    ),
];

/// In RESP3 only: a RESP2 client may not ask this while it is subscribed.
pub const RESP3: &[(&str, &str)] = &[
    (
        "anything may be asked",
        "HELLO 3\nSUBSCRIBE a\nSET k v\nGET k\nMULTI\nINCR n\nEXEC\nSELECT 2\nGET k\nCLIENT GETNAME\nBLPOP l 0.01\nWATCH k\nUNWATCH\n2>PUBLISH a m\nraw: \"\"\nUNSUBSCRIBE\nGET k",
    ),
    (
        "one's own message comes first",
        "HELLO 3\nSUBSCRIBE a\nPUBLISH a m\nraw: \"\"\nUNSUBSCRIBE a\nPING",
    ),
    (
        "silence while subscribed",
        "HELLO 3\nSUBSCRIBE a\n~CLIENT REPLY OFF\n~GET k\n2>PUBLISH a m\nraw: \"\"\nUNSUBSCRIBE\nCLIENT REPLY ON\nGET k",
    ),
    (
        "one's own message in a silent transaction",
        "HELLO 3\nSUBSCRIBE a\n~CLIENT REPLY OFF\n~MULTI\n~INCR n\n~PUBLISH a m\nEXEC\nUNSUBSCRIBE\nCLIENT REPLY ON\nGET n",
    ),
    (
        "keys are tracked",
        "HELLO 3\nSET k v\nCLIENT TRACKING ON\nCLIENT TRACKINGINFO\nCLIENT GETREDIR\nGET k\n2>SET k w\nraw: \"\"\nGET k\n2>FLUSHALL\nraw: \"\"\nCLIENT TRACKING OFF\nCLIENT TRACKINGINFO\nCLIENT GETREDIR\nGET k\n2>SET k x\nPING",
    ),
    (
        "prefixes",
        "HELLO 3\nCLIENT TRACKING ON BCAST PREFIX redirect PREFIX b\n2>SET redirects v\nraw: \"\"\n2>SET a v\n2>SET b v\nraw: \"\"\nCLIENT TRACKINGINFO\nCLIENT TRACKING OFF\nPING",
    ),
    (
        "opting in",
        "HELLO 3\nSET k v\nCLIENT TRACKING ON OPTIN\nGET k\n2>SET k w\nCLIENT CACHING YES\nGET k\n2>SET k x\nraw: \"\"\nCLIENT CACHING YES\nMULTI\nGET k\nEXEC\n2>SET k y\nraw: \"\"\nCLIENT TRACKING OFF",
    ),
    (
        "opting out",
        "HELLO 3\nSET k v\nCLIENT TRACKING ON OPTOUT\nCLIENT CACHING NO\nGET k\n2>SET k w\nGET k\n2>SET k x\nraw: \"\"\nCLIENT TRACKING OFF",
    ),
    (
        "one's own writes",
        "HELLO 3\nCLIENT TRACKING ON\nGET k\nSET k v\nraw: \"\"\nCLIENT TRACKING OFF\nCLIENT TRACKING ON NOLOOP\nGET k\nSET k w\nGET k\n2>SET k x\nraw: \"\"\nCLIENT TRACKING OFF",
    ),
    (
        "tracking and messages",
        "HELLO 3\nCLIENT TRACKING ON\nSUBSCRIBE a\nGET k\n2>SET k v\nraw: \"\"\n2>PUBLISH a m\nraw: \"\"\nUNSUBSCRIBE\nGET k\n2>SET k w\nraw: \"\"\nCLIENT TRACKING OFF\nPING",
    ),
    (
        "reset ends tracking",
        "HELLO 3\nCLIENT TRACKING ON\nGET k\nRESET\n2>SET k v\nPING\nCLIENT TRACKINGINFO",
    ),
    (
        "to RESP2 and back",
        "HELLO 3\nSUBSCRIBE a\nHELLO 2\n2>PUBLISH a m\nraw: \"\"\nGET k\nUNSUBSCRIBE\nGET k\nHELLO 3\nGET k",
    ),
];

/// Tracking of RESP2 clients, who hear nothing of it, and words that are wrong.
pub const TRACKING: &[(&str, &str)] = &[
    (
        "in RESP2",
        "HELLO 2\nCLIENT TRACKING ON\nGET k\n2>SET k v\nCLIENT TRACKINGINFO\nGET k\nCLIENT TRACKING OFF",
    ),
    (
        "wrong words",
        "CLIENT TRACKING\nCLIENT TRACKING MAYBE\nCLIENT TRACKING ON WHAT\nCLIENT TRACKING ON PREFIX a\nCLIENT TRACKING ON OPTIN OPTOUT\nCLIENT CACHING YES\nCLIENT CACHING MAYBE\nCLIENT TRACKING ON BCAST PREFIX a PREFIX ab\nCLIENT TRACKINGINFO\nGET k",
    ),
    (
        "off without on",
        "CLIENT TRACKING OFF\nCLIENT TRACKINGINFO\nGET k",
    ),
];

const LONG: &str = concat!(
    "SUBSCRIBE \"a\\r\\nmessage:1\"\n",
    "2>PUBLISH \"a\\r\\nmessage:1\" \"*3\\r\\n$7\\r\\nmessage\\r\\n\"\n",
    "raw: \"\"\nUNSUBSCRIBE\nGET k"
);
