//! A small model of Whisper that writes what its script says, in the format of the real ones.
//!
//! Its layers add nothing, so each token follows from the place alone at which it is written: the embedding of a place is that of
//! the token that is to come. The first place is that of the token which begins a transcript.

use std::path::Path;

/// Numbers by which a token is described.
const STATE: u32 = 64;
/// How much louder the script is than the token before.
const LOUD: f32 = 8.0;
const PLACES: u32 = 448;
const WRITTEN_DOWN: u32 = 50_257;

/// What the model understands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    English,
    /// 99 languages; it finds that German is spoken.
    Many,
}

impl Tongue {
    fn tokens(self) -> u32 {
        51_864 + self.shift()
    }

    fn shift(self) -> u32 {
        match self {
            Self::English => 0,
            Self::Many => 1,
        }
    }

    /// The end of the text.
    pub fn end(self) -> u32 {
        50_256 + self.shift()
    }

    /// The time stamp after so many steps of 20 ms.
    pub fn stamp(self, steps: u32) -> u32 {
        50_363 + self.shift() + steps
    }
}

/// The words of the vocabulary that scripts are made of; the others are `w` and their number.
pub const WORDS: [&str; 6] = [" Hello", " world", ".", " [BLANK", "_AUDIO]", " again"];

/// A script: the first so many words of [`WORDS`], said in the first second.
pub fn hello(tongue: Tongue, words: u32) -> Vec<u32> {
    let mut script = vec![tongue.stamp(0)];
    script.extend(0..words);
    script.extend([tongue.stamp(50), tongue.end()]);
    script
}

/// The model's file. Without a script it repeats the first thing that it writes.
pub fn bytes(tongue: Tongue, script: &[u32]) -> Vec<u8> {
    let mut file = Vec::new();
    let numbers = |file: &mut Vec<u8>, numbers: &[u32]| {
        for number in numbers {
            file.extend(number.to_le_bytes());
        }
    };
    numbers(&mut file, &[0x6767_6d6c, tongue.tokens(), 1_500]);
    numbers(&mut file, &[STATE, 1, 1, PLACES, STATE, 1, 1, 80, 1]);
    numbers(&mut file, &[80, 201]);
    for _ in 0..80 * 201 {
        file.extend(0.01_f32.to_le_bytes());
    }
    numbers(&mut file, &[WRITTEN_DOWN]);
    for token in 0..WRITTEN_DOWN {
        let word = match token {
            220 => " ".to_owned(),
            _ => WORDS
                .get(token as usize)
                .map_or_else(|| format!(" w{token}"), |word| (*word).to_owned()),
        };
        numbers(&mut file, &[word.len() as u32]);
        file.extend(word.as_bytes());
    }
    let mut tensor = |name: &str, shape: &[u32], kind: u32, content: Content<'_>| {
        numbers(&mut file, &[shape.len() as u32, name.len() as u32, kind]);
        numbers(&mut file, shape);
        file.extend(name.as_bytes());
        let count = shape.iter().product::<u32>() as usize;
        match (kind, content) {
            (F32, Content::Numbers(content)) => {
                assert_eq!(content.len(), count);
                content.iter().for_each(|n| file.extend(n.to_le_bytes()));
            }
            (F32, Content::All(number)) => {
                (0..count).for_each(|_| file.extend(number.to_le_bytes()));
            }
            // The halves of 1, -1 and 0.
            (_, Content::Signs(signs)) => {
                assert_eq!(signs.len(), count);
                let half = |is_plus: &bool| if *is_plus { 0x3c00_u16 } else { 0xbc00 };
                signs
                    .iter()
                    .for_each(|sign| file.extend(half(sign).to_le_bytes()));
            }
            (_, _) => file.extend(vec![0; count * 2]),
        }
    };
    let signs = signs(tongue.tokens() * STATE);
    let zero = || Content::All(0.0);
    let one = || Content::All(1.0);
    let s = STATE;
    tensor("encoder.positional_embedding", &[s, 1_500], F32, zero());
    tensor("encoder.conv1.weight", &[3, 80, s], F16, zero());
    tensor("encoder.conv1.bias", &[1, s], F32, zero());
    tensor("encoder.conv2.weight", &[3, s, s], F16, zero());
    tensor("encoder.conv2.bias", &[1, s], F32, zero());
    tensor("encoder.ln_post.weight", &[s], F32, one());
    tensor("encoder.ln_post.bias", &[s], F32, zero());
    let places = places(tongue, script, &signs);
    let places = Content::Numbers(&places);
    tensor("decoder.positional_embedding", &[s, PLACES], F32, places);
    let embedding = "decoder.token_embedding.weight";
    tensor(
        embedding,
        &[s, tongue.tokens()],
        F16,
        Content::Signs(&signs),
    );
    tensor("decoder.ln.weight", &[s], F32, one());
    tensor("decoder.ln.bias", &[s], F32, zero());
    for (part, attentions) in [
        ("encoder", &["attn"][..]),
        ("decoder", &["attn", "cross_attn"][..]),
    ] {
        let mut block = |name: String, shape: &[u32], kind, content| {
            tensor(&format!("{part}.blocks.0.{name}"), shape, kind, content);
        };
        block("mlp_ln.weight".into(), &[s], F32, one());
        block("mlp_ln.bias".into(), &[s], F32, zero());
        block("mlp.0.weight".into(), &[s, 4 * s], F16, zero());
        block("mlp.0.bias".into(), &[4 * s], F32, zero());
        block("mlp.2.weight".into(), &[4 * s, s], F16, zero());
        block("mlp.2.bias".into(), &[s], F32, zero());
        for attention in attentions {
            block(format!("{attention}_ln.weight"), &[s], F32, one());
            block(format!("{attention}_ln.bias"), &[s], F32, zero());
            for what in ["query", "key", "value", "out"] {
                block(format!("{attention}.{what}.weight"), &[s, s], F16, zero());
                if what != "key" {
                    block(format!("{attention}.{what}.bias"), &[s], F32, zero());
                }
            }
        }
    }
    file
}

/// Writes the model's file.
pub fn write(path: &Path, tongue: Tongue, script: &[u32]) {
    std::fs::write(path, bytes(tongue, script)).unwrap();
}

const F32: u32 = 0;
const F16: u32 = 1;

enum Content<'a> {
    All(f32),
    Numbers(&'a [f32]),
    Signs(&'a [bool]),
}

/// As good as random, and the same each time (a 64-bit xorshift).
fn signs(count: u32) -> Vec<bool> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
    };
    (0..count).map(next).collect()
}

fn places(tongue: Tongue, script: &[u32], signs: &[bool]) -> Vec<f32> {
    let mut tokens: Vec<u32> = match (tongue, script.is_empty()) {
        (_, true) => Vec::new(),
        (Tongue::English, false) => Vec::new(),
        // German at the first place; then the language and the task have theirs.
        (Tongue::Many, false) => vec![50_261, tongue.end()],
    };
    tokens.extend(script);
    let mut places = vec![0.0; (PLACES * STATE) as usize];
    for (place, token) in places.chunks_mut(STATE as usize).zip(tokens) {
        let from = (token * STATE) as usize;
        for (number, is_plus) in place.iter_mut().zip(&signs[from..]) {
            *number = if *is_plus { LOUD } else { -LOUD };
        }
    }
    places
}
