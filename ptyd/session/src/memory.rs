//! How a session's memory is divided: the region with its ring, the packed scrollback, the checkpoints, the commands. The memory is
//! sparse: what nobody has written costs nothing.

use std::ops::Range;

use crate::checkpoints::{CHECKPOINTS_BYTES, EARLIER_CHECKPOINTS_BYTES};
use crate::commands::COMMANDS_BYTES;
use crate::picture::SCROLLBACK_BYTES;
use crate::region::region_bytes;

const BESIDE_REGION: u64 = (SCROLLBACK_BYTES + CHECKPOINTS_BYTES + COMMANDS_BYTES) as u64;
/// The same of sessions that an earlier release began.
const EARLIER_BESIDE_REGION: u64 = (SCROLLBACK_BYTES + EARLIER_CHECKPOINTS_BYTES + COMMANDS_BYTES) as u64;

/// The parts of a session's memory, as byte ranges. Each begins at a multiple of the page size if the ring is one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parts {
    /// [`crate::Region`].
    pub region: Range<u64>,
    /// Packed scrollback lines.
    pub scrollback: Range<u64>,
    /// [`crate::checkpoints::Checkpoints`].
    pub checkpoints: Range<u64>,
    /// [`crate::Commands`].
    pub commands: Range<u64>,
}

/// How large a session's memory is for a ring of `ring_bytes`.
pub const fn memory_bytes(ring_bytes: u64) -> u64 {
    region_bytes(ring_bytes) + BESIDE_REGION
}

/// The parts of a memory of `memory_bytes` with a ring of `ring_bytes`, if anybody has written there; none if it is too small to
/// have them.
pub fn parts(memory_bytes: u64, ring_bytes: Option<u64>) -> Option<Parts> {
    let is_earlier = ring_bytes
        .is_some_and(|ring| memory_bytes == region_bytes(ring).saturating_add(EARLIER_BESIDE_REGION));
    let beside = if is_earlier { EARLIER_BESIDE_REGION } else { BESIDE_REGION };
    // Whoever made it may not have lived to write there.
    let region = memory_bytes.checked_sub(beside).or(memory_bytes.checked_sub(EARLIER_BESIDE_REGION))?;
    let scrollback = region + SCROLLBACK_BYTES as u64;
    let checkpoints = memory_bytes - COMMANDS_BYTES as u64;
    Some(Parts {
        region: 0..region,
        scrollback: region..scrollback,
        checkpoints: scrollback..checkpoints,
        commands: checkpoints..memory_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(memory_bytes: u64, ring_bytes: Option<u64>, checkpoints: usize) {
        let parts = parts(memory_bytes, ring_bytes).unwrap();
        assert_eq!(parts.region, 0..region_bytes(1 << 20));
        assert_eq!(
            (parts.region.end, parts.scrollback.end),
            (parts.scrollback.start, parts.checkpoints.start)
        );
        assert_eq!(parts.checkpoints.end, parts.commands.start);
        assert_eq!(parts.commands.end, memory_bytes);
        assert_eq!(parts.checkpoints.end - parts.checkpoints.start, checkpoints as u64);
        for part in [parts.region, parts.scrollback, parts.checkpoints, parts.commands] {
            assert!(part.start.is_multiple_of(4096) && part.end.is_multiple_of(4096));
        }
    }

    #[test]
    fn the_parts_of_a_memory_do_not_overlap_and_leave_nothing_over() {
        check(memory_bytes(1 << 20), None, CHECKPOINTS_BYTES);
        check(memory_bytes(1 << 20), Some(1 << 20), CHECKPOINTS_BYTES);
        assert_eq!(super::parts(4096, None), None);
    }

    #[test]
    fn the_memory_of_an_earlier_release_is_divided_as_it_was() {
        let earlier = region_bytes(1 << 20) + (20 << 20);
        check(earlier, Some(1 << 20), EARLIER_CHECKPOINTS_BYTES);
        check(earlier, None, EARLIER_CHECKPOINTS_BYTES);
    }
}
