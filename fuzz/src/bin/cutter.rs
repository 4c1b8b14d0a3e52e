//! The cutter, fed anything: in whatever pieces output comes, all of it is delivered, but for what was blanked, and the same
//! is blanked, every question among it.
#![no_main]

use devpocket_shared::ids::TerminalSize;
use libfuzzer_sys::fuzz_target;
use ptyd_screen::parser::Parser;
use ptyd_screen::query;
use ptyd_session::{Cutter, Overflow, Region, region_bytes};

const RING_BYTES: u64 = 256 << 10;

/// What is held at the end of output that comes in pieces of `piece` bytes.
fn delivered(output: &[u8], piece: usize) -> Vec<u8> {
    let len = usize::try_from(region_bytes(RING_BYTES)).unwrap_or(0);
    let Ok(mut region) = Region::create(vec![0; len], 1, TerminalSize::DEFAULT) else { return Vec::new() };
    let mut cutter = Cutter::recover(&region);
    let mut rest = output;
    while !rest.is_empty() {
        let space = region.space(None);
        let len = piece.min(space.len()).min(rest.len());
        space[..len].copy_from_slice(&rest[..len]);
        region.commit(len);
        rest = &rest[len..];
        cutter.cut(&mut region, Overflow::Drop);
        assert!(region.held().end <= region.head());
    }
    // What a client has while the session lives. At its end all is shown, a question half asked too, and nobody is there to be
    // answered.
    let (first, second) = region.slices(region.held().start, output.len());
    assert_eq!(questions(&[first, second].concat()), 0);
    cutter.finish(&mut region);
    let (first, second) = region.slices(region.held().start, output.len());
    [first, second].concat()
}

/// What a client's terminal would answer in these bytes.
fn questions(bytes: &[u8]) -> usize {
    let (mut parser, mut rest, mut found) = (Parser::new(), bytes, 0);
    while !rest.is_empty() {
        let (used, event) = parser.next(rest);
        found += usize::from(query::is_query(&event));
        rest = &rest[used..];
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, output)) = data.split_first() else { return };
    let whole = delivered(output, output.len().max(1));
    assert_eq!(whole.len(), output.len());
    for (at, (got, sent)) in whole.iter().zip(output).enumerate() {
        // A blanked query that had ended another sequence still ends it: with CAN for a C1 control, with ST for ESC.
        let ends_another = match *got {
            0x18 => *sent == 0xC2,
            b'\\' => at > 0 && whole[at - 1] == 0x1B,
            _ => false,
        };
        assert!(got == sent || *got == 0 || ends_another, "{got:#x} for {sent:#x} at {at}");
    }
    assert!(delivered(output, usize::from(*piece % 32) + 1) == whole);
});
