//! What can be typed after `--transport`.

use carillon_proto::WebSocketForm;
use clap::ValueEnum;

use super::Speech;

/// What sessions travel on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// gRPC.
    Grpc,
    /// WebSocket with binary frames.
    Ws,
    /// WebSocket with JSON.
    WsJson,
    /// Server-sent events, where sessions only listen.
    Sse,
}

impl Transport {
    /// What is spoken on it.
    pub(crate) fn speech(self) -> Speech {
        match (self, self.form()) {
            (_, Some(form)) => Speech::WebSocket(form),
            (Self::Sse, None) => Speech::Events,
            (_, None) => Speech::Grpc,
        }
    }

    /// What a WebSocket carries; `None` where there is none.
    pub(crate) fn form(self) -> Option<WebSocketForm> {
        match self {
            Self::Grpc | Self::Sse => None,
            Self::Ws => Some(WebSocketForm::Binary),
            Self::WsJson => Some(WebSocketForm::Json),
        }
    }

    /// As it is typed.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
