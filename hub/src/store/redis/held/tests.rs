use super::*;

fn partition() -> Partition {
    Partition::from_number(7).unwrap()
}

fn later(now: Instant) -> Instant {
    now + ASKED_AGAIN_MOST
}

type Piece = Vec<(usize, Era)>;

/// A queue with so many of one partition, of which as many were taken out for each piece.
fn sent<const N: usize>(pieces: [usize; N]) -> (Queue<usize>, Held<usize>, [Piece; N]) {
    let (mut queue, mut held) = (Queue::new(100), Held::new());
    for number in 0..pieces.iter().sum() {
        assert_eq!(queue.put(partition(), number), None);
    }
    let pieces = pieces.map(|many| {
        held.send();
        queue.take(many)
    });
    (queue, held, pieces)
}

fn numbers(of: Piece) -> Vec<usize> {
    of.into_iter().map(|(number, _)| number).collect()
}

#[test]
fn what_was_refused_comes_first_and_in_order() {
    let (mut queue, mut held, [first, second]) = sent([3, 2]);
    let now = Instant::now();
    for one in first {
        held.refused(&mut queue, partition(), one, now);
    }
    held.answered(&mut queue);
    assert_eq!(queue.put(partition(), 5), None);
    assert!(queue.is_empty() && held.due(later(now)).is_empty(), "the second piece is on its way");
    for one in second {
        held.refused(&mut queue, partition(), one, now);
    }
    held.answered(&mut queue);
    assert_eq!((held.due(now), held.due(later(now))), (vec![], vec![partition()]));
    for _ in 0..2 {
        let asks = held.ask(&mut queue, partition()).unwrap();
        held.send();
        assert_eq!((asks.0, held.next()), (0, None), "one asks at a time");
        held.refused(&mut queue, partition(), asks, now);
        held.answered(&mut queue);
    }
    assert_eq!(held.ask(&mut queue, partition()).unwrap().0, 0);
    assert!(held.done(&mut queue, partition()).is_empty());
    assert_eq!((numbers(queue.take(100)), held.next()), (vec![1, 2, 3, 4, 5], None));
}

#[test]
fn what_would_be_done_after_what_came_later_is_given_up() {
    let (mut queue, mut held, [first, second]) = sent([2, 2]);
    let now = Instant::now();
    for one in first {
        held.refused(&mut queue, partition(), one, now);
    }
    held.answered(&mut queue);
    let [later_one, last] = second.try_into().unwrap();
    assert_eq!(numbers(held.done(&mut queue, partition())), [0, 1], "the migration was given up meanwhile");
    held.refused(&mut queue, partition(), last, now);
    held.answered(&mut queue);
    assert_eq!((later_one.0, held.ask(&mut queue, partition()).unwrap().0), (2, 3));
}

#[test]
fn one_of_which_nothing_is_left_waits_no_longer() {
    let (mut queue, mut held, [first]) = sent([1]);
    let now = Instant::now();
    for one in first {
        held.refused(&mut queue, partition(), one, now);
    }
    held.answered(&mut queue);
    assert_eq!(numbers(queue.take_those(partition(), |_| true)), [0]);
    assert!(held.ask(&mut queue, partition()).is_none());
    assert_eq!(queue.put(partition(), 1), None);
    assert_eq!(numbers(queue.take(100)), [1]);
}
