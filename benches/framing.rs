//! What it costs to find the end of a frame: every request and every reply pays this. The inputs
//! are those of the load tests (keys of 16 bytes, values of 64 bytes) and the large ones beside.

#![allow(
    missing_docs,
    reason = "criterion's macros write undocumented functions"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use narrows::resp::{Limits, ReplyScanner, RequestEvent, RequestScanner, write};

fn requests(criterion: &mut Criterion) {
    let get: Vec<u8> = request(&[b"GET", b"key:000000000042"]);
    let mset: Vec<&[u8]> = std::iter::once(&b"MSET"[..])
        .chain([&b"key:000000000042"[..], &[b'v'; 64]].repeat(10))
        .collect();
    let cases = [
        ("get", get.clone(), 1),
        (
            "set_64b",
            request(&[b"SET", b"key:000000000042", &[b'v'; 64]]),
            1,
        ),
        ("get_pipelined_16", get.repeat(16), 16),
        ("mset_10", request(&mset), 1),
        (
            "set_16kib",
            request(&[b"SET", b"key:000000000042", &[b'v'; 16 * 1024]]),
            1,
        ),
        ("inline_ping", b"PING\r\n".to_vec(), 1),
    ];
    let limits = Limits::default().authenticated();
    let mut group = criterion.benchmark_group("request");
    for (name, input, frames) in &cases {
        group.throughput(Throughput::Elements(*frames));
        group.bench_function(*name, |bencher| {
            let mut scanner = RequestScanner::default();
            bencher.iter(|| walk_requests(&mut scanner, black_box(input), &limits));
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("get_cut_in_two", |bencher| {
        let mut scanner = RequestScanner::default();
        let (head, tail) = get.split_at(get.len() / 2);
        bencher.iter(|| {
            walk_requests(&mut scanner, black_box(head), &limits)
                + walk_requests(&mut scanner, black_box(tail), &limits)
        });
    });
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let bulk = bulk(64);
    let array = [b"*10\r\n".to_vec(), bulk.repeat(10)].concat();
    let nested = [
        &b"%2\r\n$7\r\nstreams\r\n*2\r\n"[..],
        &[&b"*2\r\n$3\r\n1-1\r\n"[..], &array].concat().repeat(2),
        b"$3\r\nttl\r\n~2\r\n,1.5\r\n#t\r\n",
    ]
    .concat();
    let cases = [
        ("status", b"+OK\r\n".to_vec(), 1),
        ("integer", b":1000\r\n".to_vec(), 1),
        ("null", b"$-1\r\n".to_vec(), 1),
        (
            "error",
            b"-ERR unknown command 'foo', with args beginning with: \r\n".to_vec(),
            1,
        ),
        ("bulk_64b", bulk.clone(), 1),
        ("bulk_64b_pipelined_16", bulk.repeat(16), 16),
        ("bulk_16kib", self::bulk(16 * 1024), 1),
        ("array_10", array, 1),
        ("nested_resp3", nested, 1),
    ];
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("reply");
    for (name, input, frames) in &cases {
        group.throughput(Throughput::Elements(*frames));
        group.bench_function(*name, |bencher| {
            let mut scanner = ReplyScanner::default();
            bencher.iter(|| walk_replies(&mut scanner, black_box(input), &limits));
        });
    }
    group.finish();
}

fn walk_requests(scanner: &mut RequestScanner, mut input: &[u8], limits: &Limits) -> u64 {
    let mut frames = 0;
    while let Ok(advance) = scanner.advance(input, limits) {
        frames += u64::from(advance.event != RequestEvent::NeedMore);
        input = input.get(advance.consumed..).unwrap_or_default();
        if input.is_empty() {
            break;
        }
    }
    frames
}

fn walk_replies(scanner: &mut ReplyScanner, mut input: &[u8], limits: &Limits) -> u64 {
    let mut replies = 0;
    while let Ok(advance) = scanner.advance(input, limits) {
        replies += u64::from(advance.complete);
        input = input.get(advance.consumed..).unwrap_or_default();
        if input.is_empty() {
            break;
        }
    }
    replies
}

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    write::request(&mut out, args);
    out
}

fn bulk(len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write::bulk(&mut out, &vec![b'v'; len]);
    out
}

criterion_group!(benches, requests, replies);
criterion_main!(benches);
