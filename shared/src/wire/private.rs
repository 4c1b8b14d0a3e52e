//! What must not be printed: what somebody types, what came of it, and the values of their environment.

use std::fmt;

use bincode::{Decode, Encode};

/// A value that shows nothing of itself where it is formatted. On the wire it is the value alone.
#[derive(Clone, Decode, Default, Encode, Eq, Hash, PartialEq)]
pub struct Private<T>(pub T);

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(private)")
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::commands::{Command, CommandResult};
    use super::super::message::{Request, Spec, ToApi, ToPtyd};
    use crate::ids::{Offset, SessionId, TerminalSize, UserId};

    #[test]
    fn nothing_typed_and_no_value_of_an_environment_is_printed() {
        let (owner, session_id) = (UserId::new(Uuid::nil()), SessionId::new(Uuid::nil()));
        let secret = || "s3cret".to_owned();
        let spec = Spec {
            name: None,
            command: vec!["mysql".to_owned(), format!("-p{}", secret())],
            working_directory: None,
            environment: vec![("TOKEN".to_owned(), secret())],
            size: TerminalSize::DEFAULT,
        };
        let command = Command {
            number: 1,
            prompt: 1,
            text: Some(secret().into()),
            is_truncated: false,
            cwd: None,
            from: Offset(0),
            to: None,
            started_at_ms: 0,
            finished_at_ms: None,
            exit_code: None,
        };
        let output = secret().into();
        let result = CommandResult { command, is_over: true, output, is_output_truncated: false };
        let printed = [
            format!("{spec:?}"),
            format!("{:?}", Request::Input { owner, session_id, bytes: secret().into_bytes().into() }),
            format!("{:?}", Request::StartCommand { owner, session_id, command: secret().into() }),
            format!("{:?}", ToPtyd::Paste { tag: 0, seq: None, text: secret().into() }),
            format!("{:?}", ToApi::Clipboard { text: secret().into() }),
            format!("{result:?}"),
        ];
        for printed in printed {
            assert!(!printed.contains("s3cret") && !printed.contains("115, 51"), "{printed}");
        }
    }
}
