//! What hearing costs, printed; nothing is asserted, because machines are noisy.

use super::{detectors, ear, sounds};
use media::clock::monotonic_ns;
use media::hear::{Denoiser, EarSettings, Floor, NoiseGate, VAD_FRAME_SAMPLES};
use media::resample::Downsampler48To16;
use media::{AudioFrame, level};

#[test]
fn what_a_frame_costs() {
    let spoken = sounds::monologue(20_000, 250);
    let spoken = if spoken.is_empty() {
        sounds::room(20_000)
    } else {
        spoken
    };
    let frames: Vec<AudioFrame> = sounds::frames(&spoken).collect();
    let cost = |what: &str, work: &mut dyn FnMut(&AudioFrame)| {
        let mut each: Vec<u64> = frames
            .iter()
            .map(|frame| {
                let began = monotonic_ns();
                work(frame);
                monotonic_ns() - began
            })
            .collect();
        each.sort_unstable();
        let mean = each.iter().sum::<u64>() as f64 / each.len() as f64 / 1e3;
        let at = |percent: usize| each[each.len() * percent / 100] as f64 / 1e3;
        eprintln!(
            "cost of {what}: mean {mean:.1} us, p50 {:.1}, p95 {:.1} a frame",
            at(50),
            at(95)
        );
    };
    let mut gate = NoiseGate::new(EarSettings::default().vad.noise_gate);
    cost("level and gate", &mut |frame| {
        gate.learn(level::rms(frame.samples()), None)
    });
    let mut denoiser = Denoiser::new();
    cost("RNNoise", &mut |frame| {
        denoiser.denoise(frame);
    });
    let mut down = Downsampler48To16::new();
    let mut out = [0; VAD_FRAME_SAMPLES];
    cost("48 to 16 kHz", &mut |frame| down.process(frame, &mut out));
    for detector in detectors() {
        let mut vad = (detector.factory)();
        let mut samples = [0; VAD_FRAME_SAMPLES];
        cost(
            &format!("48 to 16 kHz and {}", detector.name),
            &mut |frame| {
                down.process(frame, &mut samples);
                vad.hear(&samples);
            },
        );
        let mut ear = ear(&detector, EarSettings::default(), Floor::Listening);
        cost(&format!("an ear with {}", detector.name), &mut |frame| {
            ear.hear(frame);
        });
    }
}

/// Prints how long calls on several threads wait for the network that they share.
#[test]
fn what_sharing_the_network_costs() {
    let detector = &detectors()[0];
    for threads in [1, 2, 4] {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let factory = detector.factory.clone();
                let work = move || {
                    let mut calls: Vec<_> = (0..40).map(|_| factory()).collect();
                    let mut waits = Vec::new();
                    for _ in 0..50 {
                        for call in &mut calls {
                            let began = monotonic_ns();
                            call.hear(&[100; VAD_FRAME_SAMPLES]);
                            waits.push(monotonic_ns() - began);
                        }
                    }
                    waits
                };
                std::thread::Builder::new()
                    .name("calls".into())
                    .spawn(work)
                    .unwrap()
            })
            .collect();
        let mut waits: Vec<u64> = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect();
        waits.sort_unstable();
        let at = |per_mille: usize| waits[waits.len() * per_mille / 1000] as f64 / 1e3;
        eprintln!(
            "{} under full load on {threads} threads: p50 {:.0} us, p75 {:.0}, p99 {:.0}, p99.9 {:.0} a frame",
            detector.name,
            at(500),
            at(750),
            at(990),
            at(999),
        );
    }
}
