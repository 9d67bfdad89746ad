//! The sequencer under schedules that seeds give: thousands of them, each with its own mixture of what can go wrong.

mod random;
mod server;
mod single;
mod world;

use random::Random;
use world::World;

/// How often each thing happens in one schedule, in relation to the others.
struct Mixture([usize; 14]);

impl Mixture {
    /// Writing and delivering are frequent; each fault is there or not.
    fn of(random: &mut Random) -> Self {
        let mut weights = [0; 14];
        for (index, weight) in weights.iter_mut().enumerate() {
            *weight = match index {
                0..=5 => 4 + random.below(20),
                _ if random.one_in(2) => random.below(4),
                _ => 0,
            };
        }
        Self(weights)
    }

    fn draw(&self, random: &mut Random) -> usize {
        let mut at = random.below(self.0.iter().sum());
        self.0
            .iter()
            .position(|weight| {
                let found = at < *weight;
                at = at.wrapping_sub(*weight);
                found
            })
            .unwrap_or(0)
    }
}

fn act(world: &mut World, what: usize) -> Result<(), String> {
    match what {
        0 => world.append(false),
        1 => world.append(true),
        2 => return world.deliver(false, false),
        3 => return world.reply(),
        4 if world.random.one_in(2) => world.do_read(true),
        4 => return world.answer(),
        5 => return world.connect().and_then(|()| world.tick()),
        6 => return world.deliver(true, false),
        7 => return world.deliver(true, true),
        8 => world.drop_one(),
        9 => world.disconnect(),
        13 => world.lose_reply(),
        10..=12 if world.is_silent => world.trim(),
        10 => world.restart(),
        11 => world.fail_over(),
        _ if world.random.one_in(4) => world.lose_everything(),
        _ => world.trim(),
    }
    Ok(())
}

fn run(seed: u64) -> (World, Result<(), String>) {
    let mut world = World::new(seed);
    let mixture = Mixture::of(&mut world.random);
    let steps = 50 + world.random.below(250);
    for step in 0..steps {
        let what = mixture.draw(&mut world.random);
        let mut result = act(&mut world, what);
        if result.is_ok() && step % 100 == 99 {
            result = world.quiet();
        }
        if result.is_err() {
            return (world, result);
        }
    }
    let result = world.quiet();
    (world, result)
}

/// The schedules that are run: one alone where `CARILLON_SEED` names it.
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("CARILLON_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..6_000,
    }
}

#[test]
fn whatever_happens_the_log_is_told_in_order_once_and_whole() {
    let (mut told, mut while_away, mut diverged, mut read) = (0, 0, 0, 0);
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let (world, result) = run(seed);
        if let Err(error) = result {
            if count == 1 {
                println!("{}", world.story.join("\n"));
            }
            panic!("{error}; again with CARILLON_SEED={seed}");
        }
        told += world.told;
        while_away += world.told_while_away;
        diverged += world.diverged;
        read += world.read;
    }
    println!(
        "{count} schedules: {told} told, {while_away} while away, {read} reads, {diverged} times diverged"
    );
    assert!(
        count == 1 || (told > 100_000 && while_away > 1_000 && diverged > 1_000),
        "the schedules try something"
    );
}
