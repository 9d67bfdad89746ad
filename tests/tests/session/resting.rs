//! What goes past the task of a front whose session rests, and what must not. The front is one in the hub's process that is
//! polled when the test says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionResponse};
use carillon_hub::app::Front;
use carillon_proto::Frame;
use carillon_proto::port::{Call, FrameStream, HubPort};
use carillon_proto::shortcut::{Shortcut, Written};
use carillon_tests::wire::{greeting, join, request, say};
use carillon_tests::{PATIENCE, hub, words};
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What is written past the task.
struct Pen {
    written: Mutex<Vec<String>>,
    /// `None`: it panics.
    answer: Mutex<Option<Written>>,
}

impl Shortcut for Pen {
    fn write(&self, frame: &Frame) -> Written {
        locked(&self.written).extend(said(frame));
        let answer = *locked(&self.answer);
        answer.expect("it can write")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a frame says, where it is a message.
fn said(frame: &Frame) -> Option<String> {
    match SessionResponse::decode(frame.message()).unwrap().kind? {
        Kind::Message(message) => Some(words(&message).to_owned()),
        _ => None,
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What the front has alice say; told when that is acknowledged.
type Says = mpsc::Sender<(&'static str, oneshot::Sender<()>)>;

/// Bob's session.
struct Bob {
    stream: Box<dyn FrameStream>,
    pen: Arc<Pen>,
    woken: Arc<Woken>,
    says: Says,
}

impl Bob {
    /// Hears what there is, until nothing is left.
    fn hears(&mut self) -> Vec<SessionResponse> {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        let (mut cx, mut heard) = (Context::from_waker(&waker), Vec::new());
        let mut take = |frame: Frame| heard.push(SessionResponse::decode(frame.message()).unwrap());
        while let Poll::Ready(end) = self.stream.poll_frames(&mut cx, &mut take) {
            assert!(end.is_none(), "it has ended: {end:?}");
        }
        heard
    }

    fn asks(&mut self, id: u32, command: Command) {
        self.stream.send(request(id, command).encode_to_vec().into());
    }

    /// The messages that come, and the answer to that among them, until that is there.
    async fn answer(&mut self, id: u32) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            let heard = self.hears();
            let is_there = heard.iter().any(|response| response.command_id == id);
            messages.extend(heard.into_iter().filter_map(|response| match response.kind {
                _ if response.command_id == id => Some("its answer".to_owned()),
                Some(Kind::Message(message)) => Some(words(&message).to_owned()),
                _ => None,
            }));
            if is_there {
                return messages;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Alice says that, it is acknowledged, and the fan-out of this runtime has had its turns.
    async fn alice_says(&mut self, text: &'static str) {
        let (told, acknowledged) = oneshot::channel();
        self.says.send((text, told)).await.unwrap();
        acknowledged.await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// What was written past it, once that is as much as this.
    async fn written(&mut self, many: usize) -> Vec<String> {
        while locked(&self.pen.written).len() < many {
            tokio::task::yield_now().await;
        }
        locked(&self.pen.written).clone()
    }
}

/// A front that does what the test says.
struct Scripted {
    says: Says,
    token: Mutex<Option<oneshot::Receiver<String>>>,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Front for Scripted {
    fn serve(&self, hub: Arc<dyn HubPort>, _: CancellationToken) -> BoxFuture<'static, ()> {
        // One of the workers is enough.
        let (token, done, says) = (locked(&self.token).take(), locked(&self.done).take(), self.says.clone());
        async move {
            if let (Some(token), Some(done)) = (token, done) {
                let call = Call { token: token.await.ok(), request_id: "bob".to_owned(), ..Call::default() };
                let pen = Pen { written: Mutex::default(), answer: Mutex::new(Some(Written::All)) };
                let (pen, mut stream) = (Arc::new(pen), hub.open(call));
                stream.offer(Arc::clone(&pen) as Arc<dyn Shortcut>);
                script(Bob { stream, pen, woken: Arc::default(), says }).await;
                done.send(()).unwrap();
            }
        }
        .boxed()
    }
}

async fn script(mut bob: Bob) {
    bob.asks(1, Command::Hello(greeting()));
    bob.answer(1).await;
    bob.asks(2, Command::Join(join("room:a")));
    bob.answer(2).await;
    // Until it has joined what it joins by itself, and rests.
    while locked(&bob.pen.written).is_empty() {
        bob.hears();
        bob.alice_says("one").await;
    }
    assert!(!bob.woken.0.load(Ordering::SeqCst), "nobody was woken for it");

    // Something is asked: its answer comes from the task, and so does what comes meanwhile.
    bob.asks(3, Command::Ping(v1::Ping {}));
    bob.alice_says("two").await;
    let mut messages = bob.answer(3).await;
    while messages.len() < 2 {
        messages.extend(bob.hears().iter().filter_map(|response| said(&Frame::encode(response))));
        tokio::task::yield_now().await;
    }
    assert!(messages.contains(&"two".to_owned()), "{messages:?}");
    assert_eq!(bob.written(1).await, ["one"]);

    // Something is under way: what it has done comes after its answer, and from the task.
    bob.hears();
    bob.asks(4, say("room:a", "mine"));
    bob.hears();
    bob.alice_says("hers").await;
    assert_eq!(bob.written(1).await, ["one"]);
    assert_eq!(bob.answer(4).await, ["its answer", "mine", "hers"]);

    // A front that took a part is woken to write the rest, and gets nothing twice.
    bob.hears();
    *locked(&bob.pen.answer) = Some(Written::Begun);
    bob.alice_says("three").await;
    assert_eq!(bob.written(2).await, ["one", "three"]);
    while !bob.woken.0.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    assert_eq!(bob.hears(), []);

    // A front that can take nothing is woken, and handed it.
    *locked(&bob.pen.answer) = Some(Written::Nothing);
    locked(&bob.pen.written).clear();
    bob.alice_says("four").await;
    assert_eq!(bob.written(1).await, ["four"], "it was tried");
    while !bob.woken.0.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    assert_eq!(bob.hears().iter().filter_map(|response| said(&Frame::encode(response))).count(), 1);

    // A front that fails is handed what it did not get.
    bob.hears();
    *locked(&bob.pen.answer) = None;
    bob.alice_says("failed").await;
    *locked(&bob.pen.answer) = Some(Written::All);
    let heard: Vec<_> = bob.hears().iter().filter_map(|response| said(&Frame::encode(response))).collect();
    assert_eq!(heard, ["failed"]);

    // A session that ends is not written to.
    locked(&bob.pen.written).clear();
    bob.stream.finish();
    bob.alice_says("five").await;
    assert!(locked(&bob.pen.written).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_goes_past_a_session_that_rests_and_none_past_one_that_does_not() {
    let ((says, mut said), (token, awaited), (done, ended)) =
        (mpsc::channel(1), oneshot::channel(), oneshot::channel());
    let front = Scripted { says, token: Mutex::new(Some(awaited)), done: Mutex::new(Some(done)) };
    let hub = hub().start_before(Arc::new(front)).await;
    token.send(hub.token("bob")).unwrap();
    let alice = hub.enters("alice").await;
    let speaks = async {
        while let Some((text, told)) = said.recv().await {
            alice.says("room:a", text).await;
            told.send(()).unwrap();
        }
    };
    let done = async {
        tokio::select! {
            ended = ended => ended.expect("the script runs to its end"),
            () = speaks => panic!("the front is gone"),
        }
    };
    tokio::time::timeout(PATIENCE, done).await.unwrap();
}
