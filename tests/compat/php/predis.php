<?php
// Predis as applications use it. Usage: php predis.php PORT

require __DIR__ . '/jobs.php';
require getenv('TEST_CLIENTS') . '/debian/usr/share/php/Predis/autoload.php';

$port = (int) $argv[1];
define('TLS', tls() ? ['scheme' => 'tls', 'ssl' => tls()] : []);

function client(array $options = []): Predis\Client
{
    global $port;
    return new Predis\Client(
        $options + TLS + ['host' => '127.0.0.1', 'port' => $port, 'read_write_timeout' => 20]
    );
}

function failure(callable $act): string
{
    try {
        return json_encode($act());
    } catch (Predis\Response\ServerException $error) {
        return $error->getMessage();
    }
}

/** What lies in replies, as plain values. */
function plain(mixed $value): mixed
{
    if (is_array($value)) {
        return array_map('plain', $value);
    }
    return $value instanceof Predis\Response\ResponseInterface ? (string) $value : $value;
}

$redis = client();
$jobs = [];

$jobs['strings'] = [
    $redis->set('text', "caf\u{e9}\r\n"), $redis->get('text'), $redis->get('missing'),
    $redis->set('bytes', "\0\xff\r\n"), bin2hex($redis->get('bytes')),
    $redis->mset(['a' => 1, 'b' => 2]), $redis->mget(['a', 'missing', 'b']),
    $redis->set('once', 1, 'EX', 100, 'NX'), $redis->set('once', 2, 'EX', 100, 'NX'),
    $redis->incrby('count', 41), $redis->incr('count'),
];
$jobs['hashes and sorted sets'] = [
    $redis->hmset('hash', ['f' => '1', 'g' => '2']), $redis->hgetall('hash'),
    $redis->zadd('zset', ['m' => 1.5, 'n' => 2]), $redis->zrange('zset', 0, -1, ['withscores' => true]),
];
$jobs['errors'] = [
    failure(fn () => $redis->lpush('text', ['x'])),
    failure(fn () => $redis->executeRaw(['NOTHING', 'x'])),
];
$found = iterator_to_array(new Predis\Collection\Iterator\Keyspace($redis, '[ab]', 2), false);
sort($found);
$jobs['scan'] = $found;
$redis->set('big', str_repeat('x', 3 << 20));
$jobs['big values'] = md5($redis->get('big'));

$jobs['pipeline'] = $redis->pipeline(function ($pipe) {
    for ($number = 0; $number < 500; $number++) {
        $pipe->set("key:$number", $number);
        $pipe->get("key:$number");
        $pipe->incr('piped');
    }
});
$jobs['atomic pipeline'] = $redis->pipeline(['atomic' => true], function ($pipe) {
    $pipe->set('atomic', 1);
    $pipe->incr('atomic');
});

$jobs['transaction'] = [
    $redis->transaction()->set('t', 'x')->incr('n')->get('t')->execute(),
    failure(fn () => $redis->transaction(function ($block) {
        $block->set('t', 'y');
        $block->lpush('t', ['z']);
    })),
    $redis->get('t'),
];

$other = client();
$tries = 0;
$jobs['watch'] = [
    $redis->transaction(
        ['watch' => 'n', 'cas' => true, 'retry' => 3],
        function ($block) use ($other, &$tries) {
            $seen = $block->get('n');
            if ($tries++ === 0) {
                $other->incr('n');
            }
            $block->multi();
            $block->set('w', $seen);
        }
    ),
    $tries,
    $redis->get('w'),
];

$script = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}';
$jobs['scripts'] = [
    failure(fn () => $redis->evalsha(sha1($script), 1, 'scripted', 'v')),
    $redis->eval($script, 1, 'scripted', 'v'),
    $redis->evalsha(sha1($script), 1, 'scripted', 'v'),
    $redis->script('load', 'return 7'), $redis->evalsha(sha1('return 7'), 0),
];

$third = client(['database' => 3]);
$jobs['databases'] = [$third->set('a', 'three'), $third->get('a'), $redis->get('a')];

$jobs['blocking'] = beside(function () {
    $pusher = client();
    until(fn () => $pusher->info('clients')['Clients']['blocked_clients'] == 1);
    $pusher->rpush('queue', ['one', 'two']);
}, fn () => [
    $redis->blpop(['empty', 'queue'], 10), $redis->brpop(['queue'], 10),
    $redis->blpop(['queue'], 1),
]);

$jobs['pub/sub'] = beside(function () {
    $publisher = client();
    until(fn () => $publisher->executeRaw(['PUBSUB', 'NUMSUB', 'news'])[1] == 1
        && $publisher->executeRaw(['PUBSUB', 'NUMPAT']) == 1);
    foreach (['one', 'two', 'three'] as $text) {
        $publisher->publish('news', $text);
    }
}, function () {
    $loop = client(['read_write_timeout' => 0])->pubSubLoop();
    $loop->subscribe('news');
    $loop->psubscribe('ne*');
    $heard = [];
    foreach ($loop as $message) {
        $heard[] = (array) $message;
        if ($message->kind === 'pmessage' && $message->payload === 'three') {
            $loop->unsubscribe();
            $loop->punsubscribe();
        }
    }
    return $heard;
});

$pool = [];
for ($number = 0; $number < CLIENTS; $number++) {
    $pool[$number] = client(['persistent' => "pool:$number"]);
}
foreach (range(1, 10) as $round) {
    foreach ($pool as $client) {
        $client->incr('pooled');
    }
}
$jobs['pool'] = $redis->get('pooled');

report('Predis', Predis\Client::VERSION, plain($jobs));
