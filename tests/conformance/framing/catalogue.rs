//! Requests that are odd or wrong, and where narrows differs from Redis in taking them.

use crate::framing::{Answer, PING};

/// Bad counts of arguments.
const COUNTS: &[&str] = &[
    "abc",
    "",
    "+1",
    "01",
    "00",
    "-0",
    " 1",
    "1 ",
    "2147483648",
    "20000000000",
    "9223372036854775808",
    "-9223372036854775809",
];

/// Bad lengths of an argument.
const LENGTHS: &[&str] = &[
    "abc",
    "",
    "+1",
    "01",
    "00",
    "-0",
    "-1",
    "-10",
    " 1",
    "1 ",
    "blabla",
    "2000000000",
    "536870913",
    "9223372036854775808",
];

/// Inline requests, good and bad.
const INLINE: &[&str] = &[
    "PING\r\n",
    "PING\n",
    "  ping \t \r\n",
    "\r\n",
    "\n",
    "  \t\r\n",
    "\x0b\x0cPING\n",
    "ECHO \"\"\n",
    "ECHO 'a b'\r\n",
    "ECHO \"\\x41\\n\\r\\t\\b\\a\\q\\\"\\xzz\"\n",
    "ECHO 'it\\'s \\n'\n",
    "ECHO a\"b\"\n",
    "ECHO a'b c'\n",
    "ECHO a\x0bb\n",
    "ECHO \"a\"\x0b\n",
    "ECHO \u{e9}\n",
    "ECHO a b\n",
    "\"PING\"\n",
    "\"\"\n",
    "foo 'x\\'y' \"\" 'z'\r\n",
    "ECHO \"a\n",
    "ECHO \"a\\\"\n",
    "ECHO 'a\r\n",
    "ECHO \"a\"b\n",
    "ECHO 'a'b\n",
    "\"\n",
    "'\n",
    "$4\r\nPING\r\n",
    "+OK\r\n",
    "GET\x00",
];

/// Requests to which narrows answers exactly as Redis does, each also behind a good one.
pub(crate) fn same_as_redis() -> Vec<Vec<u8>> {
    let mut cases: Vec<Vec<u8>> = Vec::new();
    // Counts of nothing are dropped, what follows them is served.
    for count in ["0", "-1", "-10", "-9223372036854775808"] {
        cases.push(bytes(&["*", count, "\r\n", PING]));
    }
    for count in COUNTS {
        cases.push(bytes(&["*", count, "\r\n"]));
    }
    for length in LENGTHS {
        cases.push(bytes(&["*1\r\n$", length, "\r\n"]));
        cases.push(bytes(&["*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$", length, "\r\n"]));
    }
    for wrong in [
        "fooz", "f", "*1", ":1", "+OK", " $1", "\n$4", "\r", "\u{e9}",
    ] {
        cases.push(bytes(&["*1\r\n", wrong, "\r\n"]));
    }
    // Lines that do not end.
    for (head, filler) in [("*", "1"), ("*1\r\n$", "1"), ("", "x")] {
        cases.push(bytes(&[head, &filler.repeat(70_000)]));
    }
    cases.push(bytes(&["*\0", &"A".repeat(70_000)]));
    cases.push(bytes(&["*1\r\n$\0", &"A".repeat(70_000)]));
    cases.push(bytes(&["\0", &"A".repeat(70_000)]));
    // Cut anywhere: silence.
    let set = "*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n";
    cases.extend((1..set.len()).map(|at| set.as_bytes()[..at].to_vec()));
    cases.push(bytes(&["*1048576\r\n$4\r\nPING\r\n"]));
    cases.push(bytes(&["*1\r\n$536870912\r\nabc"]));
    // Inline requests.
    for line in INLINE {
        cases.push(bytes(&[line]));
    }
    cases.push(bytes(&["ECHO ", &"x".repeat(60_000), "\r\n"]));
    // What is unknown is repeated, and not more than 128 bytes of it.
    for arg in ["", "a", "a\r\nb", "a\0b", "'"] {
        let len = arg.len().to_string();
        cases.push(bytes(&["*2\r\n$3\r\nfoo\r\n$", &len, "\r\n", arg, "\r\n"]));
        cases.push(bytes(&["*1\r\n$", &len, "\r\n", arg, "\r\n"]));
    }
    let long = "n".repeat(200);
    cases.push(bytes(&["*2\r\n$200\r\n", &long, "\r\n$1\r\nx\r\n"]));
    cases.push(bytes(&[
        "*3\r\n$1\r\nf\r\n$100\r\n",
        &long[..100],
        "\r\n$99\r\n",
        &long[..99],
        "\r\n",
    ]));
    let behind_a_ping: Vec<_> = cases
        .iter()
        .map(|case| [PING.as_bytes(), case].concat())
        .collect();
    cases.extend(behind_a_ping);
    // HTTP. Not behind a good request: Redis may drop the replies that it has not written yet.
    for line in [
        "POST / HTTP/1.1\r\n",
        "post x\n",
        "Host: here\r\n",
        "hOsT:\n",
        "\"POST\"\n",
    ] {
        cases.push(bytes(&[line]));
    }
    cases.push(bytes(&["*1\r\n$4\r\nPosT\r\n"]));
    cases.push(bytes(&["*2\r\n$5\r\nHOST:\r\n$1\r\nx\r\n"]));
    cases.push(bytes(&["*2\r\n$4\r\nECHO\r\n$4\r\nPOST\r\n"]));
    cases
}

pub(crate) struct Stricter {
    pub(crate) input: Vec<u8>,
    pub(crate) theirs: Answer,
    pub(crate) ours: Answer,
}

/// Every kind of request that Redis takes, or waits on, and narrows refuses.
pub(crate) fn stricter_than_redis() -> Vec<Stricter> {
    let open = |text: &str| Answer {
        bytes: text.as_bytes().to_vec(),
        ..Answer::default()
    };
    let refused = |text: &str| Answer {
        bytes: format!("-ERR Protocol error: {text}\r\n").into_bytes(),
        closed: true,
        ..Answer::default()
    };
    let closed = Answer {
        closed: true,
        ..Answer::default()
    };
    let case = |input: &str, theirs: Answer, ours: Answer| Stricter {
        input: input.as_bytes().to_vec(),
        theirs,
        ours,
    };
    let multibulk = || refused("invalid multibulk length");
    let bulk = || refused("invalid bulk length");
    vec![
        // Redis skips the byte behind a CR and the two behind an argument without a look.
        case("*1\rX$4\r\nPING\r\n", open("+PONG\r\n"), multibulk()),
        case("*1\r\n$4\rXPING\r\n", open("+PONG\r\n"), bulk()),
        case("*1\r\n$4\r\nPINGxx", open("+PONG\r\n"), bulk()),
        case("*1\r\n$4\r\nPING\n\r", open("+PONG\r\n"), bulk()),
        case("*2\r\n$4\r\nECHO\r\n$1\r\nabc", open("$1\r\na\r\n"), bulk()),
        // A NUL hides the line's end from Redis, which waits for more.
        case("*1\0\r\n", open(""), multibulk()),
        case("*1\r\n$4\0\r\n", open(""), bulk()),
        case("*1\r\n\0\r\n", open(""), refused("expected '$', got '\0'")),
        case(
            "ECHO a\0b\n",
            open(""),
            refused("unbalanced quotes in request"),
        ),
        case("\0\n", open(""), refused("unbalanced quotes in request")),
        // More arguments than narrows' own bound.
        case("*1048577\r\n", open(""), multibulk()),
        case("*2147483647\r\n", open(""), multibulk()),
        // Redis waits for a CR before it looks at the first byte.
        case("*1\r\nfoo", open(""), refused("expected '$', got 'f'")),
        // HTTP is recognised by its first word alone, before quotes and before the end.
        case("POST ", open(""), closed.clone()),
        case(
            "POST it's\n",
            refused("unbalanced quotes in request"),
            closed.clone(),
        ),
        case("*2\r\n$4\r\nPOST", open(""), closed.clone()),
    ]
}

pub(crate) fn before_login() -> Vec<Vec<u8>> {
    let small = "x".repeat(16_384);
    let big = "x".repeat(16_385);
    vec![
        bytes(&[PING]),
        bytes(&["foo bar\r\n"]),
        bytes(&["PING a b\r\n"]),
        bytes(&["*10\r\n", &"$1\r\nx\r\n".repeat(10)]),
        bytes(&["*11\r\n"]),
        bytes(&["*2147483647\r\n"]),
        bytes(&["*2147483648\r\n"]),
        bytes(&["*2\r\n$4\r\nECHO\r\n$16384\r\n", &small, "\r\n"]),
        bytes(&["*2\r\n$4\r\nECHO\r\n$16385\r\n", &big, "\r\n"]),
        bytes(&["*1\r\n$536870912\r\n"]),
        bytes(&["*1\r\n$536870913\r\n"]),
        bytes(&["ECHO ", &big, "\r\n"]),
        bytes(&["ECHO a b c d e f g h i j k l m n\r\n"]),
    ]
}

fn bytes(parts: &[&str]) -> Vec<u8> {
    parts.concat().into_bytes()
}
