//! Rust source as the lints see it: comments and literals blanked out, test items blanked out,
//! every line still where it was. A lexer for this one purpose, not a parser: it knows what
//! rustfmt leaves behind and nothing of types.

/// One file in the three forms that the rules ask for.
pub(crate) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// As written.
    pub(crate) raw: String,
    /// Comments and the insides of literals replaced by spaces.
    pub(crate) code: String,
    /// `code` without what is only compiled for tests.
    pub(crate) shipped: String,
}

/// A function's place and size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, raw: &str) -> Self {
        let code = blank_comments_and_literals(raw);
        let shipped = if is_test_file(path) {
            String::new()
        } else {
            blank_test_items(&code)
        };
        Self {
            path: path.to_owned(),
            raw: raw.to_owned(),
            code,
            shipped,
        }
    }

    /// The folder or file directly below `src/`: `resp` for both `src/resp/scan.rs` and
    /// `src/resp.rs`.
    pub(crate) fn layer(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let first = below.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// How many `super::` lead from this file's module to the root of the crate.
    pub(crate) fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let parts = below.split('/').count();
        if below.ends_with("/mod.rs") {
            parts - 1
        } else {
            parts
        }
    }
}

/// `x/tests.rs` and what is under `x/tests/` are the test modules of `x`.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The line, counted from 1, of a byte offset.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// Offsets of `pattern` in `text` where it neither continues nor is continued by an identifier.
pub(crate) fn find_words(text: &str, pattern: &str) -> Vec<usize> {
    let starts_word = pattern.starts_with(is_identifier);
    let ends_word = pattern.ends_with(is_identifier);
    text.match_indices(pattern)
        .map(|(at, _)| at)
        .filter(|at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + pattern.len()..].chars().next();
            let continues = starts_word && before.is_some_and(is_identifier);
            let continued = ends_word && after.is_some_and(is_identifier);
            !continues && !continued
        })
        .collect()
}

pub(crate) fn is_identifier(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The identifier that `text` begins with, if any.
pub(crate) fn leading_identifier(text: &str) -> &str {
    let end = text
        .find(|letter| !is_identifier(letter))
        .unwrap_or(text.len());
    &text[..end]
}

/// All functions with a body. Nested ones count by themselves and as part of the outer one.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for at in find_words(code, "fn") {
        let name = leading_identifier(code[at + 2..].trim_start());
        if name.is_empty() || !code[at + 2..].starts_with(' ') {
            continue; // a function pointer type
        }
        let end = end_of_item(code, at);
        if code.as_bytes()[end - 1] == b'}' {
            let line = line_of(code, at);
            let lines = line_of(code, end - 1) - line + 1;
            found.push(Function {
                name: name.to_owned(),
                line,
                lines,
            });
        }
    }
    found
}

/// The offset behind the item at `start`: behind its first `;` or its braces, whichever is first.
fn end_of_item(code: &str, start: usize) -> usize {
    let mut round = 0i32;
    let mut braces = 0i32;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces <= 0 {
                    return at + 1;
                }
            }
            b';' if round == 0 && braces == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank_test_items(code: &str) -> String {
    let mut shipped = code.to_owned();
    for marker in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        while let Some(start) = shipped.find(marker) {
            // The marker's own brackets must not be taken for the item.
            let mut item = start + shipped[start..].find('\n').unwrap_or(0);
            while shipped[item..].trim_start().starts_with("#[") {
                item += shipped[item..].find(']').unwrap_or(0) + 1;
            }
            let end = end_of_item(&shipped, item);
            let blank = blanked(&shipped[start..end]);
            shipped.replace_range(start..end, &blank);
        }
    }
    shipped
}

/// Spaces of the same length in bytes, with the line ends kept.
fn blanked(text: &str) -> String {
    let keep = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    text.bytes().map(keep).collect()
}

fn blank_comments_and_literals(raw: &str) -> String {
    let mut code = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(letter) = rest.chars().next() {
        let token = token_bytes(rest, code.chars().next_back());
        match token {
            Some(bytes) => {
                code.push_str(&blanked(&rest[..bytes]));
                rest = &rest[bytes..];
            }
            None => {
                code.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    code
}

/// The length of the comment or literal at the start of `rest`, if there is one.
fn token_bytes(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_bytes(rest));
    }
    if !before.is_some_and(is_identifier) {
        let prefix = leading_identifier(rest);
        if matches!(prefix, "r" | "br" | "cr") {
            let fence = rest[prefix.len()..]
                .bytes()
                .take_while(|byte| *byte == b'#')
                .count();
            let open = prefix.len() + fence;
            if rest[open..].starts_with('"') {
                let close = format!("\"{}", "#".repeat(fence));
                let body = rest[open + 1..]
                    .find(&close)
                    .unwrap_or(rest.len() - open - 1);
                return Some((open + 1 + body + close.len()).min(rest.len()));
            }
        }
    }
    if rest.starts_with('"') {
        return Some(quoted_bytes(rest, b'"'));
    }
    if let Some(literal) = rest.strip_prefix('\'') {
        // Not a lifetime: an escape, or one letter and a closing quote.
        let mut letters = literal.chars();
        let first = letters.next()?;
        if first == '\\' || letters.next() == Some('\'') {
            return Some(quoted_bytes(rest, b'\''));
        }
    }
    None
}

fn quoted_bytes(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == quote {
            return at + 1;
        }
    }
    rest.len()
}

fn block_comment_bytes(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    let raw = "a // x.unwrap()\nb /* /* todo! */\n */ c \"st\\\"r{\" r#\"{\"# '{' 'a: &'a str\n";
    let code = blank_comments_and_literals(raw);
    assert_eq!(code.len(), raw.len());
    assert_eq!(line_of(&code, code.find("'a:").unwrap()), 3);
    assert!(!code.contains("unwrap") && !code.contains("todo") && !code.contains('{'));
    assert!(code.contains("&'a str"));
}

#[test]
fn test_items_are_not_shipped() {
    let raw = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n  fn b() { {} }\n}\nfn c() {}\n";
    let shipped = Source::new("src/x/y.rs", raw).shipped;
    assert!(shipped.contains("fn a()") && shipped.contains("fn c()") && !shipped.contains("fn b"));
    assert!(
        !Source::new("src/x.rs", "#[cfg(test)]\nmod tests;\nfn c() {}")
            .shipped
            .contains("mod")
    );
    assert_eq!(Source::new("src/x/tests.rs", "fn a() {}").shipped, "");
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let code = "trait T {\n  fn declared(a: [u8; 3]);\n}\nfn long<F: Fn(u8)>(\n  f: fn(u8),\n) {\n  x\n}\n";
    let expected = Function {
        name: "long".into(),
        line: 4,
        lines: 5,
    };
    assert_eq!(functions(code), [expected]);
}

#[test]
fn layer_and_depth_follow_the_path() {
    let source = |path| Source::new(path, "");
    assert_eq!(source("src/resp/request/scan.rs").layer(), Some("resp"));
    assert_eq!(source("src/cli.rs").layer(), Some("cli"));
    assert_eq!(source("tests/repo/main.rs").layer(), None);
    let depth = |path| source(path).depth();
    assert_eq!(
        (
            depth("src/resp/mod.rs"),
            depth("src/resp/scan.rs"),
            depth("src/cli.rs")
        ),
        (1, 2, 1)
    );
}
