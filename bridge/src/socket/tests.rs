use std::net::Ipv4Addr;

use bytes::Bytes;
use carillon_net::Stream as Connection;
use carillon_proto::shortcut::Written;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A session that has nothing to say.
struct Silent;

impl FrameStream for Silent {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn send(&mut self, _: Bytes) {}

    fn refuse(&mut self, _: u32, _: Frame) {}

    fn fail(&mut self, _: &'static WireRow) {}

    fn finish(&mut self) {}

    fn poll_frames(&mut self, _: &mut Context<'_>, _: &mut dyn FnMut(Frame)) -> Poll<Option<End>> {
        Poll::Pending
    }

    fn caller_is_known(&self) -> bool {
        true
    }

    fn poll_cut(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// A socket, what goes past it, and its other side.
async fn socket(standing: Standing) -> (Socket, Arc<Line>, TcpStream) {
    let form = WebSocketForm::Binary;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = Connection::Plain(listener.accept().await.unwrap().0);
    let line = Line::new(Patient::new(server, Duration::from_secs(60)), form);
    let gate = Gate::new(Arc::clone(&line), &[]);
    let frames = WebSocketStream::from_raw_socket(gate, Role::Server, None).await;
    let socket = Socket::new(frames, Box::new(Silent), form, standing, String::new());
    (socket, line, client)
}

async fn polled(socket: &mut Socket) {
    poll_fn(|cx| {
        assert!(socket.poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Both come in the same poll: that the rest of a frame is to be written, and a ping.
#[tokio::test]
async fn a_pong_does_not_come_in_the_middle_of_a_frame_that_was_begun_past_the_task() {
    let (mut socket, line, mut client) = socket(Standing::Settled).await;
    polled(&mut socket).await;
    // So long that a part of one fits at last, and not so long that the task reads nothing until it is written.
    let frame = Frame::from_message(&vec![7; 60_000]);
    let (mut bytes, mut read) = (Vec::new(), Vec::new());
    loop {
        line.rests();
        let written = line.write(&frame);
        if written == Written::Nothing {
            let _ = client.try_read_buf(&mut read);
            tokio::task::yield_now().await;
            continue;
        }
        bytes.extend_from_slice(frame.web_socket(WebSocketForm::Binary));
        if written == Written::Begun {
            break;
        }
    }
    client.write_all(&[0x89, 0x80 | 2, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    // There is room, and the ping has come, before the task goes on.
    let mut quiet = 0;
    while quiet < 1_000 {
        match client.try_read_buf(&mut read) {
            Ok(_) => quiet = 0,
            Err(_) => quiet += 1,
        }
        tokio::task::yield_now().await;
    }
    poll_fn(|cx| line.poll(|stream| stream.socket().poll_read_ready(cx))).await.unwrap();
    let writes = async {
        poll_fn(|cx| socket.poll(cx)).await;
    };
    let reads = async {
        let mut rest = vec![0; bytes.len() - read.len() + 4];
        client.read_exact(&mut rest).await.unwrap();
        rest
    };
    let both = async {
        tokio::select! {
            rest = reads => rest,
            () = writes => panic!("the socket has ended"),
        }
    };
    let rest = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the rest is written");
    read.extend(rest);
    assert!(read[..bytes.len()] == bytes, "the frame is not as it was");
    assert_eq!(read[bytes.len()..], [0x8a, 2, b'h', b'i']);
}

/// Whose it is says the session's first reply, which the task has to see.
#[tokio::test]
async fn nothing_goes_past_a_socket_of_whom_it_is_not_known_whose_it_is() {
    let attempt = carillon_net::addresses::Addresses::new(None)
        .attempt([127, 0, 0, 1].into(), std::time::Instant::now());
    let counted = Standing::Counted(attempt.unwrap(), Arc::new(Place::new(None)));
    for (standing, written) in [(counted, Written::Nothing), (Standing::Settled, Written::All)] {
        let (mut socket, line, _client) = socket(standing).await;
        assert_eq!(line.write(&Frame::from_message(b"hello")), Written::Nothing, "it was never polled");
        polled(&mut socket).await;
        assert_eq!(line.write(&Frame::from_message(b"hello")), written);
        drop(socket);
        assert_eq!(line.write(&Frame::from_message(b"hello")), Written::Nothing, "it is gone");
    }
}
