<?php
// What the programs of this folder share: a second process that acts while the first one waits, and
// the line that says what came of the jobs. It knows no library.

const CLIENTS = 20;

/** Who has signed the certificate of the port, where that speaks TLS, as options of a socket. */
function tls(): ?array
{
    $authority = getenv('TEST_TLS_AUTHORITY');
    return $authority ? ['cafile' => $authority] : null;
}

/** Runs $act in a process of its own, which is over when this returns. */
function beside(callable $act, callable $wait): mixed
{
    $child = pcntl_fork();
    if ($child === 0) {
        $act();
        // Without the destructors of what it has of its parent.
        posix_kill(getmypid(), SIGKILL);
    }
    $result = $wait();
    pcntl_waitpid($child, $status);
    return $result;
}

/** Polls until $probe is true. */
function until(callable $probe): void
{
    $deadline = microtime(true) + 20;
    while (!$probe()) {
        if (microtime(true) > $deadline) {
            fwrite(STDERR, "not within 20 s\n");
            exit(1);
        }
        usleep(2000);
    }
}

/** Says what came of it, and keeps all connections until its input ends. */
function report(string $library, string $version, array $jobs): void
{
    $line = ['library' => $library, 'version' => $version, 'jobs' => $jobs];
    echo json_encode($line, JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
    fgets(STDIN);
}
