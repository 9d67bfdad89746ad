use super::*;

fn partition() -> Partition {
    Partition::from_number(7).unwrap()
}

fn later(now: Instant) -> Instant {
    now + MOVING_WAIT_MOST
}

type Piece = Vec<(usize, Era)>;

/// A queue with so many of one partition, of which as many were taken out for each piece.
fn sent<const N: usize>(pieces: [usize; N]) -> (Queue<usize>, Moving<usize>, [Piece; N]) {
    let (mut queue, mut moving) = (Queue::new(100), Moving::new());
    for number in 0..pieces.iter().sum() {
        assert_eq!(queue.put(partition(), number), None);
    }
    let pieces = pieces.map(|many| {
        moving.send();
        queue.take(many)
    });
    (queue, moving, pieces)
}

fn numbers(of: Piece) -> Vec<usize> {
    of.into_iter().map(|(number, _)| number).collect()
}

#[test]
fn what_was_refused_comes_first_and_in_order() {
    let (mut queue, mut moving, [first, second]) = sent([3, 2]);
    let now = Instant::now();
    for one in first {
        moving.refused(&mut queue, partition(), one, now);
    }
    moving.answered(&mut queue);
    assert_eq!(queue.put(partition(), 5), None);
    assert!(queue.is_empty() && moving.due(later(now)).is_empty(), "the second piece is on its way");
    for one in second {
        moving.refused(&mut queue, partition(), one, now);
    }
    moving.answered(&mut queue);
    assert_eq!((moving.due(now), moving.due(later(now))), (vec![], vec![partition()]));
    for _ in 0..2 {
        let asks = moving.ask(&mut queue, partition()).unwrap();
        moving.send();
        assert_eq!((asks.0, moving.next()), (0, None), "one asks at a time");
        moving.refused(&mut queue, partition(), asks, now);
        moving.answered(&mut queue);
    }
    assert_eq!(moving.ask(&mut queue, partition()).unwrap().0, 0);
    assert!(moving.done(&mut queue, partition()).is_empty());
    assert_eq!((numbers(queue.take(100)), moving.next()), (vec![1, 2, 3, 4, 5], None));
}

#[test]
fn what_would_be_done_after_what_came_later_is_given_up() {
    let (mut queue, mut moving, [first, second]) = sent([2, 2]);
    let now = Instant::now();
    for one in first {
        moving.refused(&mut queue, partition(), one, now);
    }
    moving.answered(&mut queue);
    let [later_one, last] = second.try_into().unwrap();
    assert_eq!(numbers(moving.done(&mut queue, partition())), [0, 1], "the migration was given up meanwhile");
    moving.refused(&mut queue, partition(), last, now);
    moving.answered(&mut queue);
    assert_eq!((later_one.0, moving.ask(&mut queue, partition()).unwrap().0), (2, 3));
}

#[test]
fn one_of_which_nothing_is_left_waits_no_longer() {
    let (mut queue, mut moving, [first]) = sent([1]);
    let now = Instant::now();
    for one in first {
        moving.refused(&mut queue, partition(), one, now);
    }
    moving.answered(&mut queue);
    assert_eq!(numbers(queue.take_those(partition(), |_| true)), [0]);
    assert!(moving.ask(&mut queue, partition()).is_none());
    assert_eq!(queue.put(partition(), 1), None);
    assert_eq!(numbers(queue.take(100)), [1]);
}
