#!/usr/bin/perl
# Sends bytes to a Unix socket and says what came of it: "refused: ...", or "closed after N bytes", or "open".
#   probe.pl SOCKET HEXADECIMAL
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $digits) = @ARGV;
my $socket = IO::Socket::UNIX->new(Peer => $path);
if (!$socket) { print "refused: $!\n"; exit }
$SIG{PIPE} = 'IGNORE';
syswrite $socket, pack 'H*', $digits;
my $got = 0;
while (1) {
    my $ready = '';
    vec($ready, fileno $socket, 1) = 1;
    if (select($ready, undef, undef, 15) < 1) { print "open\n"; exit }
    my $read = sysread $socket, my $bytes, 65536;
    if (!$read) { print "closed after $got bytes\n"; exit }
    $got += $read;
}
