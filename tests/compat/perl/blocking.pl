# Redis and Redis::Fast, which have one interface, as applications use them.
# Usage: perl blocking.pl PORT Redis|Redis::Fast

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Jobs;

my ($port, $class) = @ARGV;
eval "require $class" or die $@;

sub client { return $class->new(server => "127.0.0.1:$port", @_) }

my $redis = client();
my $other = client();
my %jobs;

$jobs{strings} = [
    $redis->set(text => "caf\xc3\xa9\r\n"), $redis->get('text'), $redis->get('missing'),
    $redis->set(bytes => "\0\xff\r\n"), unpack('H*', $redis->get('bytes')),
    $redis->mset(a => 1, b => 2), [$redis->mget(qw(a missing b))],
    $redis->set(qw(once 1 NX EX 100)), $redis->set(qw(once 2 NX EX 100)),
    $redis->incrby(count => 41), $redis->incr('count'),
];
$jobs{'hashes and sorted sets'} = [
    $redis->hmset('hash', f => 1, g => 2), {$redis->hgetall('hash')},
    $redis->zadd('zset', 1.5 => 'm', 2 => 'n'), [$redis->zrange('zset', 0, -1, 'WITHSCORES')],
];
$jobs{errors} = [failure { $redis->lpush(text => 'x') }, failure { $redis->nothing('x') }];
$redis->set(big => 'x' x (3 << 20));
$jobs{'big values'} = md5_hex($redis->get('big'));

my @replies;
for my $number (0 .. 499) {
    for my $command (['set', "key:$number", $number], ['get', "key:$number"], ['incr', 'piped']) {
        my ($name, @arguments) = @$command;
        $redis->$name(@arguments, sub { my ($reply, $error) = @_; push @replies, [$reply, $error] });
    }
}
$redis->wait_all_responses;
$jobs{pipeline} = \@replies;

sub block {
    my (@commands) = @_;
    $redis->multi;
    for my $command (@commands) {
        my ($name, @arguments) = @$command;
        $redis->$name(@arguments);
    }
    return [$redis->exec];
}
$jobs{transaction} = [
    block(['set', 't', 'x'], ['incr', 'n'], ['get', 't']),
    failure { block(['set', 't', 'y'], ['lpush', 't', 'z']) },
    do { $redis->multi; $redis->set(t => 'gone'); $redis->discard },
    $redis->get('t'),
];
$redis->watch('n');
$other->incr('n');
my $lost = block(['set', 'w', 'lost']);
$redis->watch('n');
my $won = block(['set', 'w', 'won']);
$jobs{watch} = [$lost, $won, $redis->get('w')];

my $script = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}';
my $sha = $redis->script_load($script);
$jobs{scripts} = [
    failure { $redis->evalsha('0' x 40, 0) }, $sha,
    [$redis->eval($script, 1, 'scripted', 'v')], [$redis->evalsha($sha, 1, 'scripted', 'v')],
];
$jobs{databases} = [$other->select(3), $other->set(a => 'three'), $other->get('a'), $redis->get('a')];
$other->select(0);

$jobs{blocking} = beside(
    sub {
        my $pusher = client();
        eventually { $pusher->info->{blocked_clients} == 1 };
        $pusher->rpush('queue', 'one', 'two');
    },
    sub {
        return [
            [$redis->blpop('empty', 'queue', 10)], [$redis->brpop('queue', 10)],
            [$redis->blpop('queue', 1)],
        ];
    }
);

$jobs{'pub/sub'} = beside(
    sub {
        my $publisher = client();
        eventually { my %count = $publisher->pubsub('NUMSUB', 'news'); $count{news} == 1 };
        eventually { $publisher->pubsub('NUMPAT') == 1 };
        $publisher->publish(news => $_) for qw(one two three);
    },
    sub {
        my $subscriber = client();
        my @heard;
        my $hear = sub { my ($text, $channel, $from) = @_; push @heard, [$text, $channel, $from] };
        $subscriber->subscribe('news', $hear);
        $subscriber->psubscribe('ne*', $hear);
        $subscriber->wait_for_messages(5) while @heard < 6;
        $subscriber->unsubscribe('news', $hear);
        $subscriber->punsubscribe('ne*', $hear);
        return [\@heard, $subscriber->ping];
    }
);

my @pool = map { client(name => "pooled:$_") } 1 .. CLIENTS;
for my $round (1 .. 10) {
    $_->incr('pooled', sub { }) for @pool;
    $_->wait_all_responses for @pool;
}
$jobs{pool} = [$redis->get('pooled'), $pool[3]->client_getname];

report($class, $class->VERSION, \%jobs);
