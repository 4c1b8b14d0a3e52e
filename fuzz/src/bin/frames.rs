//! Frames of the link, and the messages in them: whatever comes is a message, is not whole, or is refused.
#![no_main]

use bytes::BytesMut;
use devpocket_shared::wire::frame::Frame;
use devpocket_shared::wire::message::{Answer, Hello, Request, ToApi, ToPtyd};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(frame)) = Frame::take(&mut buffer) {
        let _message = frame.control::<Hello>();
        let _message = frame.control::<Request>();
        let _message = frame.control::<Answer>();
        let _message = frame.control::<ToPtyd>();
        let _message = frame.control::<ToApi>();
        let _output = frame.output();
        let _snapshot = frame.snapshot();
        let _input = frame.into_input();
    }
});
