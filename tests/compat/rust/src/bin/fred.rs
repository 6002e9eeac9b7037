//! fred as applications use it: a client in either protocol, a pool, a subscriber. Usage: fred PORT

use fred::clients::SubscriberClient;
use fred::prelude::*;
use fred::types::RespVersion;
use narrows_test_clients::{CLIENTS, Jobs, eventually, port, report, said};
use serde_json::{Value as Json, json};

type Result<T> = std::result::Result<T, Error>;

fn builder(version: RespVersion) -> Builder {
    let mut builder = Builder::from_config(Config {
        server: ServerConfig::new_centralized("127.0.0.1", port()),
        version,
        ..Config::default()
    });
    builder.set_policy(ReconnectPolicy::new_constant(5, 100));
    builder
}

async fn client(version: RespVersion) -> Result<Client> {
    let client = builder(version).build()?;
    client.init().await?;
    Ok(client)
}

async fn set(client: &impl KeysInterface, key: &str, value: impl Into<Value> + Send) -> Result<()> {
    let value: Value = value.into();
    client.set(key, value, None, None, false).await
}

async fn data(client: &Client) -> Result<Json> {
    set(client, "text", "caf\u{e9}\r\n").await?;
    set(
        client,
        "bytes",
        Value::Bytes(b"\0\xff\r\n".as_slice().into()),
    )
    .await?;
    client.mset(vec![("a", 1), ("b", 2)]).await?;
    let big = "x".repeat(3 << 20);
    set(client, "big", big.as_str()).await?;
    Ok(json!([
        client.get::<String, _>("text").await?,
        client.get::<Option<String>, _>("missing").await?,
        client.get::<Vec<u8>, _>("bytes").await?,
        client
            .mget::<Vec<Option<i64>>, _>(vec!["a", "missing", "b"])
            .await?,
        client.get::<String, _>("big").await? == big,
        said(client.lpush::<i64, _, _>("text", "x").await),
    ]))
}

async fn pipelines(client: &Client, other: &Client, jobs: &mut Jobs) -> Result<()> {
    let pipe = client.pipeline();
    for number in 0..500 {
        let key = format!("key:{number}");
        set(&pipe, &key, number).await?;
        pipe.get::<(), _>(&key).await?;
        pipe.incr::<(), _>("piped").await?;
    }
    let replies: Vec<Option<String>> = pipe.all().await?;
    jobs.insert("pipeline".to_owned(), json!(replies));

    let block = client.multi();
    set(&block, "t", "x").await?;
    block.incr::<(), _>("n").await?;
    block.get::<(), _>("t").await?;
    let replies: (String, i64, String) = block.exec(true).await?;
    jobs.insert("transaction".to_owned(), json!(replies));

    let mut seen = Vec::new();
    for between in [true, false] {
        client.watch("n").await?;
        if between {
            other.incr::<(), _>("n").await?;
        }
        let block = client.multi();
        set(&block, "w", between.to_string()).await?;
        let replies = block.exec::<Option<String>>(true).await;
        seen.push(json!([
            said(replies),
            client.get::<Option<String>, _>("w").await?
        ]));
    }
    jobs.insert("watch".to_owned(), json!(seen));

    let lua = r#"return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}"#;
    let unknown = client.evalsha::<Vec<String>, _, _, _>("0".repeat(40), "scripted", "v");
    let unknown = said(unknown.await);
    let hash: String = client.script_load(lua).await?;
    let known: Vec<String> = client.evalsha(&hash, "scripted", "v").await?;
    let again: Vec<String> = client.eval(lua, "scripted", "v").await?;
    jobs.insert("scripts".to_owned(), json!([unknown, hash, known, again]));
    Ok(())
}

async fn blocking(client: &Client, other: &Client) -> Result<Json> {
    let waiting = client.clone();
    let popped = tokio::spawn(async move {
        let first: (String, String) = waiting.blpop(vec!["empty", "queue"], 10.0).await?;
        let second: (String, String) = waiting.brpop("queue", 10.0).await?;
        // It calls the end of a wait an error.
        let none = waiting.blpop::<Vec<String>, _>("queue", 0.1).await;
        Result::Ok(json!([first, second, said(none)]))
    });
    eventually(|| async {
        let info: String = other
            .info(Some(fred::types::InfoKind::Clients))
            .await
            .expect("INFO");
        info.contains("blocked_clients:1\r\n")
    })
    .await;
    other.rpush::<(), _, _>("queue", vec!["one", "two"]).await?;
    popped.await.expect("no panic")
}

async fn subscribe(subscriber: &SubscriberClient, other: &Client) -> Result<Json> {
    subscriber.init().await?;
    let mut messages = subscriber.message_rx();
    subscriber.subscribe("news").await?;
    subscriber.psubscribe("ne*").await?;
    // It does not wait for the server to say so.
    eventually(|| async {
        let channels: Vec<(String, i64)> = other.pubsub_numsub("news").await.expect("NUMSUB");
        let patterns: i64 = other.pubsub_numpat().await.expect("NUMPAT");
        patterns == 1 && channels.iter().all(|(_, count)| *count == 1)
    })
    .await;
    for text in ["one", "two", "three"] {
        other.publish::<(), _, _>("news", text).await?;
    }
    let mut heard = Vec::new();
    while heard.len() < 6 {
        let message = messages.recv().await.expect("a message");
        let text: String = message.value.convert()?;
        heard.push(json!([format!("{:?}", message.kind), text]));
    }
    subscriber.unsubscribe_all().await?;
    Ok(json!(heard))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut jobs = Jobs::new();
    let second = client(RespVersion::RESP2).await?;
    let third = client(RespVersion::RESP3).await?;
    jobs.insert("strings in RESP2".to_owned(), data(&second).await?);
    jobs.insert("strings in RESP3".to_owned(), data(&third).await?);
    pipelines(&third, &second, &mut jobs).await?;
    jobs.insert("blocking".to_owned(), blocking(&third, &second).await?);
    let subscriber = builder(RespVersion::RESP3).build_subscriber_client()?;
    let heard = subscribe(&subscriber, &second).await?;
    jobs.insert("pub/sub".to_owned(), heard);

    second.select(3).await?;
    set(&second, "a", "three").await?;
    let apart: (String, String) = (second.get("a").await?, third.get("a").await?);
    jobs.insert("databases".to_owned(), json!(apart));

    let pool = builder(RespVersion::RESP2).build_pool(CLIENTS)?;
    pool.init().await?;
    for _ in 0..10 * CLIENTS {
        pool.incr::<(), _>("pooled").await?;
    }
    let pooled: i64 = third.get("pooled").await?;
    jobs.insert("pool".to_owned(), json!([pooled, pool.size()]));
    report("fred", "fred", &jobs);
    Ok(())
}
