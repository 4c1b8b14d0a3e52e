//! What a socket keeps of its sessions' bytes until they are whole text: of each an incomplete character, and of all of them
//! together the parts of a single snapshot. Knows no message.

use std::collections::BTreeMap;

use devpocket_shared::ids::Offset;
use devpocket_shared::wire::FrameError;
use devpocket_shared::wire::frame::{MAX_SNAPSHOT_BYTES, SnapshotHeader};

use super::Channel;
use super::text::{Text, TextDecoder};

/// The attached channels of one socket.
#[derive(Debug, Default)]
pub(super) struct Decoders {
    texts: BTreeMap<Channel, TextDecoder>,
    /// The parts of a snapshot of which more follow: one at a time, or 64 sessions of a client that reads nothing would
    /// cost 64 snapshots.
    partial: Option<(Channel, Vec<u8>)>,
}

impl Decoders {
    /// A channel was attached.
    pub(super) fn attach(&mut self, channel: Channel) {
        self.texts.insert(channel, TextDecoder::default());
    }

    /// A channel was left: what is kept of it is of no use.
    pub(super) fn leave(&mut self, channel: Channel) {
        self.texts.remove(&channel);
        self.partial.take_if(|(begun, _)| *begun == channel);
    }

    pub(super) fn is_attached(&self, channel: Channel) -> bool {
        self.texts.contains_key(&channel)
    }

    /// The text that is complete with this output.
    pub(super) fn output(&mut self, channel: Channel, offset: Offset, bytes: &[u8]) -> Option<Text> {
        self.texts.entry(channel).or_default().decode(offset, bytes)
    }

    /// What is still held back of a channel's output when no more comes.
    pub(super) fn finish(&mut self, channel: Channel) -> Option<Text> {
        self.texts.get_mut(&channel)?.finish()
    }

    /// Whether no snapshot is in parts.
    pub(super) const fn is_free(&self) -> bool {
        self.partial.is_none()
    }

    /// Whether this part of a snapshot has to wait until [`Decoders::is_free`].
    pub(super) fn must_wait(&self, channel: Channel, header: SnapshotHeader) -> bool {
        header.more && self.partial.as_ref().is_some_and(|(begun, _)| *begun != channel)
    }

    /// Adds a part of a snapshot; gives all of it as text with the last one. One that has to wait is an error.
    pub(super) fn add_snapshot(
        &mut self,
        channel: Channel,
        header: SnapshotHeader,
        bytes: &[u8],
    ) -> Result<Option<String>, FrameError> {
        let begun = self.partial.take_if(|(begun, _)| *begun == channel);
        let mut whole = begun.map(|(_, parts)| parts).unwrap_or_default();
        if self.must_wait(channel, header) || whole.len() + bytes.len() > MAX_SNAPSHOT_BYTES {
            return Err(FrameError::Malformed);
        }
        whole.extend_from_slice(bytes);
        if header.more {
            self.partial = Some((channel, whole));
            return Ok(None);
        }
        // What was held back of the output before it is gone with that output.
        self.texts.insert(channel, TextDecoder::default());
        Ok(Some(
            String::from_utf8(whole)
                .unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;
    use devpocket_shared::wire::SnapshotReason;

    use super::*;

    fn header(more: bool) -> SnapshotHeader {
        SnapshotHeader {
            offset: Offset(9),
            size: TerminalSize::DEFAULT,
            reason: SnapshotReason::Attach,
            more,
        }
    }

    fn attached(channels: u16) -> Decoders {
        let mut decoders = Decoders::default();
        (0..channels).for_each(|number| decoders.attach(Channel(number)));
        decoders
    }

    #[test]
    fn a_snapshot_in_parts_is_one_text_with_no_character_torn() {
        let (mut decoders, channel) = (attached(1), Channel(0));
        let (first, second) = "漢字".as_bytes().split_at(4);
        let mut add = |more, bytes| decoders.add_snapshot(channel, header(more), bytes).unwrap();
        assert_eq!(add(true, first), None);
        assert_eq!(add(false, second).as_deref(), Some("漢字"));
        assert_eq!(add(false, b"next").as_deref(), Some("next"));
    }

    #[test]
    fn a_snapshot_without_end_is_refused() {
        let (mut decoders, channel) = (attached(1), Channel(0));
        let part = vec![b'x'; MAX_SNAPSHOT_BYTES / 4];
        for _ in 0..4 {
            assert_eq!(decoders.add_snapshot(channel, header(true), &part).unwrap(), None);
        }
        let more = decoders.add_snapshot(channel, header(true), b"x");
        assert!(matches!(more, Err(FrameError::Malformed)));
        assert!(decoders.is_free());
    }

    /// The story: a client with 64 sessions that read nothing cost the parts of 64 snapshots.
    #[test]
    fn a_socket_keeps_the_parts_of_one_snapshot_however_many_sessions_it_has() {
        const SNAPSHOT_BYTES: usize = 1 << 20;
        let mut decoders = attached(64);
        let part = vec![b'x'; 64 << 10];
        let mut whole = Vec::new();
        while whole.len() < 64 {
            for number in 0..64 {
                let channel = Channel(number);
                if whole.contains(&number) || decoders.must_wait(channel, header(true)) {
                    continue;
                }
                let kept = decoders.partial.as_ref().map_or(0, |(_, parts)| parts.len());
                let last = kept == SNAPSHOT_BYTES;
                let text = decoders.add_snapshot(channel, header(!last), &part).unwrap();
                assert_eq!(text.is_some(), last);
                if last {
                    whole.push(number);
                }
            }
        }
        assert!(decoders.is_free());
        assert_eq!(whole, (0..64).collect::<Vec<_>>(), "one after the other");
    }

    #[test]
    fn a_small_snapshot_waits_for_none_and_one_that_was_left_keeps_nobody_waiting() {
        let mut decoders = attached(3);
        assert_eq!(decoders.add_snapshot(Channel(0), header(true), b"large").unwrap(), None);
        assert!(
            !decoders.must_wait(Channel(0), header(true)) && decoders.must_wait(Channel(1), header(true))
        );
        assert!(matches!(decoders.add_snapshot(Channel(1), header(true), b"x"), Err(FrameError::Malformed)));
        assert!(!decoders.must_wait(Channel(2), header(false)));
        let small = decoders.add_snapshot(Channel(2), header(false), b"small").unwrap();
        assert_eq!(small.as_deref(), Some("small"));
        decoders.leave(Channel(0));
        assert!(decoders.is_free() && !decoders.must_wait(Channel(1), header(true)));
    }
}
