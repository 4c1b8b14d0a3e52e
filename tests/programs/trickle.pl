#!/usr/bin/perl
# Writes FILE to the terminal byte by byte with a pause after each, so that every byte is read by itself; waits for a
# line before it begins and before it exits.
#   trickle.pl FILE
use strict;
use warnings;

system('stty', 'raw', '-echo') == 0 or die "stty: $?";
open my $file, '<:raw', $ARGV[0] or die "$ARGV[0]: $!";
local $/;
my $bytes = <$file>;
$/ = "\n";
$| = 1;
print "ready\r\n";
exit 2 unless defined scalar <STDIN>;
for my $byte (split //, $bytes) {
    syswrite STDOUT, $byte or exit 1;
    select undef, undef, undef, 0.002;
}
exit 2 unless defined scalar <STDIN>;
