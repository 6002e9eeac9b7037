//! Conversations about the server: what it says of itself, what it knows, what it does not know.

pub const CONVERSATIONS: &[(&str, &str)] = &[
    ("info", INFO),
    ("the commands", COMMAND),
    ("configuration", CONFIG),
    ("users", ACL),
    ("publishing", PUBLISH),
    ("diagnosis", DIAGNOSIS),
    ("unknown commands", UNKNOWN),
    ("inline", INLINE),
    ("quotes that are not closed", "PING a\n!inline: PING \"a"),
    ("text after a quote", "PING a\n!inline: PING \"a\"b"),
    ("bad head", "PING a\n!raw: \"*x\\r\\n\""),
    (
        "bad bulk head",
        "PING a\n!raw: \"*1\\r\\n!4\\r\\nPING\\r\\n\"",
    ),
    ("bad bulk length", "PING a\n!raw: \"*1\\r\\n$-5\\r\\n\""),
    (
        "huge bulk length",
        "PING a\n!raw: \"*2\\r\\n$3\\r\\nGET\\r\\n$536870913\\r\\n\"",
    ),
    (
        "http",
        "PING a\n!raw: \"POST / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\"",
    ),
    ("nothing to execute", NOTHING),
    ("mixed", MIXED),
];

const INFO: &str = r#"
    INFO
    INFO server
    INFO clients
    INFO CLIENTS
    INFO memory
    INFO persistence
    INFO stats
    INFO replication
    INFO cpu
    INFO modules
    INFO cluster
    INFO default
    INFO all
    INFO server clients
    INFO clients clients
    INFO nothing
    INFO ""
    INFO nothing server
    info keyspace
"#;

const COMMAND: &str = r#"
    COMMAND COUNT
    COMMAND
    COMMAND INFO get
    COMMAND INFO get nothing client client|kill
    COMMAND INFO
    COMMAND DOCS get
    COMMAND DOCS nothing
    COMMAND GETKEYS MSET a 1 b 2
    COMMAND GETKEYS GET
    COMMAND GETKEYS NOTHING a
    COMMAND GETKEYS PING
    COMMAND GETKEYSANDFLAGS LMOVE a b left right
    COMMAND LIST FILTERBY PATTERN xread*
    COMMAND LIST FILTERBY NOTHING x
    COMMAND HELP
    COMMAND NOTHING
    COMMAND NOTHING x
    command count x
"#;

const CONFIG: &str = r#"
    CONFIG GET maxclients
    CONFIG GET max*
    CONFIG GET maxmemory timeout databases
    CONFIG GET nothing
    CONFIG GET
    CONFIG SET
    CONFIG SET nothing 1
    CONFIG SET timeout
    CONFIG SET timeout x
    CONFIG SET timeout 0
    CONFIG SET timeout 0 timeout 0
    CONFIG SET databases 5
    CONFIG REWRITE
    CONFIG HELP
    CONFIG NOTHING
    CONFIG
"#;

const ACL: &str = r#"
    ACL WHOAMI
    ACL USERS
    ACL CAT nothing
    ACL CAT scripting
    ACL GETUSER nobody
    ACL DRYRUN default get a
    ACL DRYRUN nobody get a
    ACL NOTHING
    ACL HELP
    ACL SETUSER x +nothing
    ACL DELUSER default
    ACL DELUSER nobody
    ACL SAVE
    ACL LOG x
"#;

const PUBLISH: &str = r#"
    PUBLISH channel message
    SPUBLISH channel message
    PUBLISH channel
    PUBSUB CHANNELS
    PUBSUB NUMSUB a b
    PUBSUB NUMSUB
    PUBSUB NUMPAT
    PUBSUB SHARDCHANNELS
    PUBSUB SHARDNUMSUB a
    PUBSUB NOTHING
    PUBSUB
    PUBSUB HELP
"#;

const DIAGNOSIS: &str = r#"
    SLOWLOG LEN
    SLOWLOG GET 10
    SLOWLOG GET -2
    SLOWLOG GET x
    SLOWLOG RESET
    SLOWLOG HELP
    SLOWLOG NOTHING
    LATENCY LATEST
    LATENCY HISTORY nothing
    LATENCY RESET
    LATENCY HELP
    MEMORY USAGE missing
    MEMORY HELP
    MEMORY NOTHING
    MODULE LIST
    MODULE LOAD nothing
    ROLE
    TIME
    LASTSAVE
    LOLWUT VERSION 1
    CLUSTER INFO
    CLUSTER NODES
    SAVE now
"#;

const UNKNOWN: &str = r#"
    NOTHING
    nothing
    NOTHING a b c
    NOTHING ""
    ""
    " "
    "GET "
    "ge\x00t" a
    "a\r\nb" c
    "\xff\xfe\x00" "\xff"
    NOTHING "a\r\nb" "c\x00d" "e'f"
    NOTHING aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b
    NOTHING aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccccccccccc d
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    GET|x a
    CONFIG|GET maxclients
    XREAD
    XGROUP "a\r\nb"
    CONFIG "a\x00b"
    CONFIG a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word
    MEMORY ""
"#;

const INLINE: &str = r#"
    inline: PING
    inline: ping hello
    inline: ECHO "hello world"
    inline: ECHO 'it is \'quoted\' \n'
    inline: ECHO "a\x41\n\t\r\\\""
    inline: ECHO "\xZZ"
    inline: SET key "a value"
    inline:   GET    key
    inline: ECHO ""
    inline: SELECT 2
    inline: GET key
    inline: CLIENT GETNAME
    inline: CLIENT SETNAME "me"
    inline: NOTHING "a b" c
    inline: HELLO 3
    inline: HGETALL missing
    inline: GET
    GET key
"#;

const NOTHING: &str = r#"
    PING a
    ~raw: "\r\n"
    PING b
    ~raw: "\r\n\n"
    PING c
    ~raw: "*0\r\n"
    PING d
    ~raw: "*-1\r\n"
    PING e
"#;

/// A request without words is the next one, whose reply is left out.
pub const SILENCE: (&str, &str) = (
    "nothing to execute in silence",
    "~CLIENT REPLY SKIP\n~raw: \"\\r\\n\"\nPING a\n~CLIENT REPLY SKIP\n~raw: \"*0\\r\\n\"\nPING b",
);

/// Shared, local and refused ones in turn: whatever way each takes, their replies keep the order.
const MIXED: &str = r#"
    SET a 1
    CLIENT GETNAME
    INCR a
    NOTHING x
    INCR a
    CLIENT SETNAME me
    GET
    INCR a
    INFO clients
    INCR a
    CLIENT LIST ID 999999999
    GET a
    CLIENT KILL ID 999999999
    GET a
    SELECT 1
    GET a
    SET a one
    SELECT 0
    GET a
    HELLO 3
    HGETALL missing
    SELECT 1
    GET a
    ECHO x
    CLIENT REPLY ON
    CLIENT NOTHING
    GET a
    RESET
    GET a
    inline: GET a
    INCR a
    CLIENT GETNAME
    ~CLIENT REPLY SKIP
    ~INCR a
    GET a
    SELECT 99
    INCR a
    HELLO 9
    INCR a
    EVAL 'return redis.call("INCR",KEYS[1])' 1 a
    CLIENT INFO
    GET a
"#;
