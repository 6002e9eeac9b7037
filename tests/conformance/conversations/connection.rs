//! Conversations about the connection itself: what Redis remembers of a client and narrows has to
//! remember in its place. All forms, right and wrong.

pub const CONVERSATIONS: &[(&str, &str)] = &[
    ("hello", HELLO),
    ("login", AUTH),
    ("databases", SELECT),
    ("reset", RESET),
    ("quit", "SET a 1\n!QUIT"),
    ("quit with words", "SELECT 2\n!QUIT now please"),
    ("names", NAMES),
    ("own line", OWN_LINE),
    ("silence", REPLY),
    ("silence and errors", REPLY_ERRORS),
    ("small client commands", CLIENT_REST),
    ("unknown client commands", CLIENT_UNKNOWN),
    ("lists of clients", CLIENT_LIST),
    ("killing others", CLIENT_KILL),
    ("killing oneself", "!CLIENT KILL ID {id1} SKIPME no"),
    ("killing oneself by address", "!CLIENT KILL {addr1}"),
    ("ping and echo", PING),
];

const HELLO: &str = r#"
    HELLO
    HELLO 2
    HELLO 3
    HGETALL missing
    HELLO
    HELLO 3 SETNAME me
    CLIENT GETNAME
    HELLO 2 SETNAME other AUTH default anything
    CLIENT GETNAME
    HELLO 3 AUTH default "" SETNAME third
    CLIENT GETNAME
    HELLO 3 SETNAME ""
    CLIENT GETNAME
    HELLO 2 SETNAME a SETNAME b
    CLIENT GETNAME
    hello 3 setname lower auth default x
    HELLO 2
    HELLO 1
    HELLO 4
    HELLO 0
    HELLO -1
    HELLO 03
    HELLO 3.0
    HELLO three
    HELLO ""
    HELLO 99999999999999999999
    HELLO 3 AUTH
    HELLO 3 AUTH default
    HELLO 3 AUTH nobody x
    HELLO 3 AUTH default x AUTH
    HELLO 3 SETNAME
    HELLO 3 SETNAME "a b"
    HELLO 3 SETNAME "a\nb"
    HELLO 3 NOTHING
    HELLO 3 "WITH\x00NUL"
    HELLO SETNAME me
    HELLO 3 SETNAME "a b" AUTH nobody x
    HELLO 9 SETNAME "a b"
    HGETALL missing
    HELLO 2
"#;

const AUTH: &str = r#"
    AUTH
    AUTH x
    AUTH ""
    AUTH default x
    AUTH default ""
    AUTH nobody x
    AUTH "" x
    AUTH DEFAULT x
    AUTH default x y
    AUTH a b c d
    AUTH "with\r\nlines" x
    ACL WHOAMI
    GET a
"#;

const SELECT: &str = r#"
    SET where db0
    SELECT 1
    GET where
    SET where db1
    SELECT 15
    SET where db15
    SELECT 16
    GET where
    SELECT -1
    GET where
    SELECT -2147483648
    SELECT 2147483647
    SELECT 2147483648
    SELECT -2147483649
    SELECT 9223372036854775807
    SELECT 9223372036854775808
    SELECT 99999999999999999999999999
    SELECT one
    SELECT ""
    SELECT " 1"
    SELECT 1.5
    SELECT +1
    SELECT 01
    SELECT 0x1
    SELECT "1\x00"
    SELECT
    SELECT 1 2
    GET where
    DBSIZE
    SELECT 1
    GET where
    DBSIZE
    SELECT 0
    GET where
    SELECT 16
    SELECT 16
    SELECT 17
    GET where
    FLUSHDB
    SELECT 1
    GET where
    MOVE where 2
    SELECT 2
    GET where
    SWAPDB 2 3
    GET where
    select 3
    GET where
"#;

const RESET: &str = r#"
    SELECT 3
    SET a in3
    CLIENT SETNAME me
    HELLO 3
    RESET
    GET a
    CLIENT GETNAME
    HGETALL missing
    CLIENT INFO
    RESET now
    RESET
    SELECT 3
    GET a
    ~CLIENT REPLY OFF
    ~GET a
    RESET
    GET a
    ~CLIENT REPLY SKIP
    ~RESET
    GET a
    reset
"#;

const NAMES: &str = r##"
    CLIENT GETNAME
    CLIENT SETNAME me
    CLIENT GETNAME
    client setname me-2
    CLIENT GETNAME
    CLIENT SETNAME "a b"
    CLIENT SETNAME "a\n"
    CLIENT SETNAME "\x7f"
    CLIENT SETNAME "caf\xc3\xa9"
    CLIENT GETNAME
    CLIENT SETNAME ~!"#$%&
    CLIENT GETNAME
    CLIENT SETNAME ""
    CLIENT GETNAME
    CLIENT SETNAME
    CLIENT SETNAME a b
    CLIENT GETNAME x
    CLIENT SETINFO lib-name mine
    CLIENT SETINFO LIB-VER 1.2
    CLIENT SETINFO lib-name "a b"
    CLIENT SETINFO LIB-VER "a\n"
    CLIENT SETINFO nothing x
    CLIENT SETINFO "no\x00thing" x
    CLIENT SETINFO lib-name
    CLIENT SETINFO lib-name a b
    CLIENT SETINFO lib-name ""
    CLIENT SETINFO
"##;

const OWN_LINE: &str = r#"
    CLIENT INFO
    CLIENT SETNAME me
    SELECT 7
    CLIENT INFO
    CLIENT NO-EVICT on
    CLIENT INFO
    CLIENT INFO x
    CLIENT ID
    CLIENT ID x
    client id
"#;

const REPLY: &str = r#"
    CLIENT REPLY ON
    ~CLIENT REPLY OFF
    ~SET a 1
    ~GET a
    ~CLIENT ID
    ~SELECT 99
    ~NOTHING x
    ~CLIENT REPLY SKIP
    ~GET a
    CLIENT REPLY ON
    GET a
    ~CLIENT REPLY SKIP
    ~INCR a
    GET a
    ~CLIENT REPLY SKIP
    ~CLIENT REPLY SKIP
    ~INCR a
    GET a
    ~CLIENT REPLY SKIP
    CLIENT REPLY ON
    GET a
    ~CLIENT REPLY SKIP
    ~CLIENT REPLY OFF
    ~GET a
    CLIENT REPLY ON
    ~CLIENT REPLY SKIP
    ~CLIENT ID
    CLIENT GETNAME
    ~CLIENT REPLY SKIP
    ~CLIENT LIST
    CLIENT GETNAME
    ~CLIENT REPLY SKIP
    ~INFO
    CLIENT GETNAME
    ~CLIENT REPLY SKIP
    ~HELLO 3
    HGETALL missing
    ~CLIENT REPLY SKIP
    ~SELECT 2
    GET a
    ~CLIENT REPLY OFF
    ~HELLO 2
    ~SELECT 0
    CLIENT REPLY ON
    HGETALL missing
    GET a
"#;

const REPLY_ERRORS: &str = r#"
    CLIENT REPLY
    CLIENT REPLY maybe
    CLIENT REPLY ON OFF
    client reply on
    ~CLIENT REPLY SKIP
    ~CLIENT REPLY maybe
    GET a
    ~CLIENT REPLY SKIP
    ~CLIENT REPLY
    GET a
    ~CLIENT REPLY SKIP
    ~NOTHING AT ALL
    GET a
    ~CLIENT REPLY SKIP
    ~GET
    GET a
    ~CLIENT REPLY SKIP
    ~SELECT 99
    GET a
    ~CLIENT REPLY SKIP
    ~HELLO 9
    GET a
    ~CLIENT REPLY OFF
    ~CLIENT REPLY maybe
    ~CLIENT REPLY
    CLIENT REPLY ON
"#;

const CLIENT_REST: &str = r#"
    CLIENT UNBLOCK 999999
    CLIENT UNBLOCK 999999 TIMEOUT
    CLIENT UNBLOCK 999999 error
    CLIENT UNBLOCK 999999 later
    CLIENT UNBLOCK x
    CLIENT UNBLOCK x later
    CLIENT UNBLOCK -1
    CLIENT UNBLOCK
    CLIENT UNBLOCK 1 TIMEOUT x
    CLIENT NO-EVICT on
    CLIENT NO-EVICT OFF
    CLIENT NO-EVICT maybe
    CLIENT NO-EVICT
    CLIENT NO-EVICT on off
    CLIENT GETREDIR
    CLIENT GETREDIR x
    CLIENT TRACKINGINFO
    CLIENT TRACKINGINFO x
    CLIENT HELP
    CLIENT HELP x
    CLIENT
    client
"#;

const CLIENT_UNKNOWN: &str = r#"
    CLIENT NOTHING
    CLIENT NOTHING with arguments
    CLIENT ""
    CLIENT "a\r\nb"
    CLIENT "a\x00b"
    CLIENT a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word-a-very-long-word
    CLIENT id|x
    CLIENT|ID
    CLIENT "\xff\xfe"
    CLIENT MAINT_NOTIFICATIONS
    CLIENT maint_notifications ON moving-endpoint-type none
    MULTI
    CLIENT Maint_Notifications ON
    EXEC
    CLIENT CAPA
    CLIENT CAPA redirect
    CLIENT capa telepathy redirect ""
    MULTI
    CLIENT CAPA redirect
    EXEC
"#;

const CLIENT_LIST: &str = r#"
    2> CLIENT SETNAME second
    2> SELECT 4
    1> CLIENT LIST ID {id1} {id2}
    1> CLIENT LIST ID {id2}
    1> client list id {id2}
    1> CLIENT LIST ID 999999999
    1> CLIENT LIST ID
    1> CLIENT LIST ID x
    1> CLIENT LIST ID {id1} x
    1> CLIENT LIST ID -1
    1> CLIENT LIST ID 0
    1> CLIENT LIST TYPE pubsub
    1> CLIENT LIST TYPE replica
    1> CLIENT LIST TYPE slave
    1> CLIENT LIST TYPE master
    1> CLIENT LIST TYPE nothing
    1> CLIENT LIST TYPE
    1> CLIENT LIST TYPE normal normal
    1> CLIENT LIST NOTHING
    1> CLIENT LIST NOTHING x
"#;

const CLIENT_KILL: &str = r#"
    1> CLIENT KILL ID 999999999
    1> CLIENT KILL 1.2.3.4:5
    1> CLIENT KILL ""
    1> CLIENT KILL
    1> CLIENT KILL ID
    1> CLIENT KILL ID x
    1> CLIENT KILL ID 0
    1> CLIENT KILL ID -1
    1> CLIENT KILL ID 1 SKIPME
    1> CLIENT KILL ID 1 SKIPME maybe
    1> CLIENT KILL TYPE nothing
    1> CLIENT KILL TYPE pubsub
    1> CLIENT KILL TYPE master
    1> CLIENT KILL ADDR 1.2.3.4:5
    1> CLIENT KILL LADDR 1.2.3.4:5
    1> CLIENT KILL NOTHING x
    1> CLIENT KILL ID {id1}
    1> CLIENT KILL ID {id1} SKIPME yes
    1> CLIENT KILL ADDR {addr1}
    2> PING two
    3> PING three
    4> PING four
    5> PING five
    1> CLIENT KILL ID {id2} ADDR 1.2.3.4:5
    1> CLIENT KILL ID {id2} TYPE pubsub
    1> CLIENT KILL ID {id2} TYPE normal USER default ADDR {addr2} LADDR {laddr2}
    2>! PING two
    1> CLIENT KILL {addr3}
    3>! PING three
    1> client kill addr {addr4}
    4>! PING four
    1> CLIENT KILL ID {id5} SKIPME no
    5>! PING five
    1> CLIENT KILL {addr3}
    1> CLIENT KILL ID {id2}
    6> PING six
    1>~ CLIENT REPLY OFF
    1>~ MULTI
    1>~ CLIENT KILL ID {id6}
    1>~ EXEC
    1> CLIENT REPLY ON
    6>! raw: ""
"#;

const PING: &str = r#"
    PING
    ping
    PING hello
    PING ""
    PING "a\r\n\x00b"
    PING a b
    ECHO hello
    ECHO ""
    ECHO
    ECHO a b
"#;
