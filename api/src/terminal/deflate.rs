//! `devpocket.bin.v1.deflate`: binary frames as one raw-deflate stream per socket (PROTOCOL section 1). Knows neither
//! socket nor what the frames say.

use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, CompressError, Compression, FlushCompress};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most compressors in this process. Each takes about 320 KiB for as long as its socket is open: 80 MiB together.
/// Further sockets get [`Deflate::stored`], which takes nothing.
const MAX_COMPRESSORS: usize = 256;
/// Gathered bytes that end a message. A frame has up to 64 KiB, so a message is under 100 KiB: half a millisecond of work, one
/// for noise, is the most that what is typed in another session of the socket waits for. More compresses no better.
const MESSAGE_BYTES: usize = 32 << 10;
/// Of 1 to 9. Log lines pass at 280 MB/s with it, noise at 70, a key's echo takes 1.3 us; of somebody at work half a per cent
/// more would be saved by 6, which takes twice the time for log lines.
const LEVEL: u32 = 5;
/// The end of every flush, an empty stored block after its three bits of header (RFC 1951 section 3.2.4).
const FLUSH_END: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// Most bytes in a stored block.
const STORED_BYTES: usize = 0xFFFF;

/// The compressors that this process may still have.
#[derive(Clone, Debug)]
pub struct Compressors(Arc<Semaphore>);

impl Default for Compressors {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_COMPRESSORS)))
    }
}

impl Compressors {
    /// A stream that compresses; none if there are [`MAX_COMPRESSORS`].
    pub(super) fn take(&self) -> Option<Deflate> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let compress = Box::new(Compress::new(Compression::new(LEVEL), false));
        Some(Deflate::new(Method::Compressed(compress, permit)))
    }
}

/// The binary frames of one socket, gathered into messages.
pub(super) struct Deflate {
    method: Method,
    /// Frames since the last message, each after its length.
    gathered: Vec<u8>,
    /// The next message begins with a full flush.
    attached: bool,
}

enum Method {
    Compressed(Box<Compress>, #[expect(dead_code, reason = "it counts by being there")] OwnedSemaphorePermit),
    Stored,
}

impl Deflate {
    const fn new(method: Method) -> Self {
        Self { method, gathered: Vec::new(), attached: false }
    }

    /// A stream of stored blocks: valid for every client, and without memory of its own.
    pub(super) const fn stored() -> Self {
        Self::new(Method::Stored)
    }

    /// Notes that a session was attached: nothing after this refers to bytes before it. Frames gathered so far must have
    /// been taken.
    pub(super) const fn note_attach(&mut self) {
        self.attached = true;
    }

    /// Adds a frame to the message.
    pub(super) fn add(&mut self, frame: &[u8]) {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.gathered.reserve_exact(4 + frame.len());
        self.gathered.extend_from_slice(&len.to_be_bytes());
        self.gathered.extend_from_slice(frame);
    }

    /// Whether it makes what it is given shorter.
    pub(super) const fn compresses(&self) -> bool {
        matches!(self.method, Method::Compressed(..))
    }

    /// Bytes of the frames added since the last message.
    pub(super) const fn gathered(&self) -> usize {
        self.gathered.len()
    }

    /// Whether the message is long enough to be taken before another frame is added.
    pub(super) const fn is_full(&self) -> bool {
        self.gathered.len() >= MESSAGE_BYTES
    }

    /// The message of all frames added since the last one; none if there are none.
    pub(super) fn take(&mut self) -> Result<Option<Bytes>, CompressError> {
        if self.gathered.is_empty() {
            return Ok(None);
        }
        let frames = std::mem::take(&mut self.gathered);
        let mut message = Vec::with_capacity(frames.len() / 2 + 64);
        if std::mem::take(&mut self.attached) {
            self.put(&[], FlushCompress::Full, &mut message)?;
        }
        self.put(&frames, FlushCompress::Sync, &mut message)?;
        debug_assert!(message.ends_with(&FLUSH_END), "every flush ends so");
        message.truncate(message.len() - FLUSH_END.len());
        Ok(Some(message.into()))
    }

    fn put(&mut self, bytes: &[u8], flush: FlushCompress, to: &mut Vec<u8>) -> Result<(), CompressError> {
        match &mut self.method {
            Method::Compressed(compress, _) => {
                let before = compress.total_in();
                let mut used = 0;
                loop {
                    to.reserve(bytes.len() / 4 + 64);
                    compress.compress_vec(&bytes[used..], to, flush)?;
                    used = usize::try_from(compress.total_in() - before).unwrap_or(bytes.len());
                    // Room left over means that everything was written.
                    if used == bytes.len() && to.len() < to.capacity() {
                        return Ok(());
                    }
                }
            }
            Method::Stored => {
                for block in bytes.chunks(STORED_BYTES) {
                    let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
                    to.push(0);
                    to.extend_from_slice(&len.to_le_bytes());
                    to.extend_from_slice(&(!len).to_le_bytes());
                    to.extend_from_slice(block);
                }
                to.push(0);
                to.extend_from_slice(&FLUSH_END);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
    use proptest::prelude::*;

    use super::*;

    /// Reads messages as a client does: appends what was left out and inflates, a few bytes at a time.
    struct Client {
        inflate: Decompress,
        text: Vec<u8>,
        piece: usize,
    }

    impl Client {
        fn new(piece: usize) -> Self {
            Self { inflate: Decompress::new(false), text: Vec::new(), piece }
        }

        /// The frames that are whole with this message.
        fn read(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
            let whole = [message, &FLUSH_END].concat();
            for piece in whole.chunks(self.piece) {
                let mut piece = piece;
                loop {
                    let (before, room) = (self.inflate.total_in(), 4096);
                    self.text.reserve(room);
                    self.inflate.decompress_vec(piece, &mut self.text, FlushDecompress::None).unwrap();
                    piece = &piece[usize::try_from(self.inflate.total_in() - before).unwrap()..];
                    if piece.is_empty() && self.text.len() < self.text.capacity() {
                        break;
                    }
                }
            }
            let mut frames = Vec::new();
            while let Some((len, rest)) = self.text.split_first_chunk::<4>() {
                let len = u32::from_be_bytes(*len) as usize;
                assert!(rest.len() >= len, "a message holds whole frames");
                frames.push(rest[..len].to_vec());
                self.text.drain(..4 + len);
            }
            assert!(self.text.is_empty(), "a message holds whole frames");
            frames
        }
    }

    fn compressed() -> Deflate {
        Compressors::default().take().unwrap()
    }

    fn message(deflate: &mut Deflate, frames: &[&[u8]]) -> Bytes {
        for frame in frames {
            deflate.add(frame);
        }
        deflate.take().unwrap().unwrap()
    }

    fn output_frame(offset: u64, text: &[u8]) -> Vec<u8> {
        [&[0x01, 0, 1][..], &offset.to_be_bytes(), text].concat()
    }

    proptest! {
        #[test]
        fn any_frames_in_any_messages_arrive_as_they_were(
            messages in proptest::collection::vec(
                (any::<bool>(), proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..6)),
                1..20,
            ),
            piece in 1..50_usize,
            stored in any::<bool>(),
        ) {
            let mut deflate = if stored { Deflate::stored() } else { compressed() };
            let mut client = Client::new(piece);
            for (attach, frames) in messages {
                if attach {
                    deflate.note_attach();
                }
                let parts: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                let message = message(&mut deflate, &parts);
                prop_assert!(!message.is_empty());
                prop_assert_eq!(client.read(&message), frames);
            }
        }
    }

    #[test]
    fn frames_of_the_largest_size_arrive_too() {
        let mut noise = 1_u32;
        let frame: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        })
        .take(70_000)
        .collect();
        for mut deflate in [compressed(), Deflate::stored()] {
            let message = message(&mut deflate, &[&frame, &frame]);
            assert_eq!(Client::new(1000).read(&message), [frame.clone(), frame.clone()]);
        }
    }

    #[test]
    fn nothing_sent_means_no_message() {
        let mut deflate = compressed();
        deflate.note_attach();
        assert_eq!(deflate.take().unwrap(), None);
    }

    #[test]
    fn what_follows_an_attach_never_refers_to_what_was_before_it() {
        let secret = output_frame(0, b"the quick brown fox jumps over the lazy dog and reads a secret");
        let mut deflate = compressed();
        deflate.note_attach();
        let mut client = Client::new(usize::MAX);
        let first = message(&mut deflate, &[&secret]);
        client.read(&first);
        let again = message(&mut deflate, &[&secret]);
        client.read(&again);
        assert!(again.len() < 20, "without an attach it is a reference: {} bytes", again.len());
        deflate.note_attach();
        let after = message(&mut deflate, &[&secret]);
        assert!(after.len() >= first.len(), "{} and {} bytes", after.len(), first.len());
        // A reader that has never seen the bytes before reads what follows the attach: nothing in it points back.
        for later in [after, message(&mut deflate, &[&secret, b"more"])] {
            assert!(!client.read(&later).is_empty());
        }
        deflate.note_attach();
        let mut newcomer = Client::new(usize::MAX);
        let after = message(&mut deflate, &[&secret]);
        assert_eq!(newcomer.read(&after), std::slice::from_ref(&secret));
        let later = message(&mut deflate, &[b"next", &secret]);
        assert_eq!(newcomer.read(&later), [b"next".to_vec(), secret.clone()]);
    }

    #[test]
    fn a_key_with_its_echo_and_acknowledgement_takes_few_bytes() {
        let mut deflate = compressed();
        let mut bytes = 0;
        for (offset, key) in (1000_u64..).zip(*b"git log --oneline | head; ls -la; vim src/main.rs") {
            let ack = [&[0x05, 0, 1][..], &(offset - 999).to_be_bytes()].concat();
            // Two bytes of WebSocket header.
            bytes = message(&mut deflate, &[&output_frame(offset, &[key]), &ack]).len() + 2;
            assert!(offset < 1010 || bytes <= 28, "{bytes} bytes for the key at {offset}");
        }
        assert!(bytes > 0);
    }

    #[test]
    fn a_message_is_full_before_it_takes_long() {
        let mut deflate = Deflate::stored();
        let frame = vec![0; 16 << 10];
        deflate.add(&frame);
        assert!(!deflate.is_full());
        deflate.add(&frame);
        assert!(deflate.is_full());
        deflate.take().unwrap();
        assert!(!deflate.is_full());
    }

    #[test]
    fn there_are_only_so_many_compressors_and_they_come_back() {
        let compressors = Compressors(Arc::new(Semaphore::new(2)));
        let (first, second) = (compressors.take(), compressors.take());
        assert!(first.is_some() && second.is_some() && compressors.take().is_none());
        drop(first);
        assert!(compressors.take().is_some());
    }
}
