//! The tensors that a model of Whisper has.

use super::file::Header;

/// How numbers are stored: the types of ggml that models of Whisper are quantised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Blocks of small numbers, by their place in [`QUANTISED`].
    Quantised(u8),
}

/// A type in blocks: its number in the header, its number at a tensor, numbers in a block, bytes of a block. From ggml's headers.
struct Quantised {
    in_header: u32,
    at_tensor: u32,
    block: u64,
    bytes: u64,
}

#[rustfmt::skip]
const QUANTISED: [Quantised; 10] = [
    // Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
    Quantised { in_header: 2, at_tensor: 2, block: 32, bytes: 18 },
    Quantised { in_header: 3, at_tensor: 3, block: 32, bytes: 20 },
    Quantised { in_header: 8, at_tensor: 6, block: 32, bytes: 22 },
    Quantised { in_header: 9, at_tensor: 7, block: 32, bytes: 24 },
    Quantised { in_header: 7, at_tensor: 8, block: 32, bytes: 34 },
    // Q2_K to Q6_K.
    Quantised { in_header: 10, at_tensor: 10, block: 256, bytes: 84 },
    Quantised { in_header: 11, at_tensor: 11, block: 256, bytes: 110 },
    Quantised { in_header: 12, at_tensor: 12, block: 256, bytes: 144 },
    Quantised { in_header: 13, at_tensor: 13, block: 256, bytes: 176 },
    Quantised { in_header: 14, at_tensor: 14, block: 256, bytes: 210 },
];

impl Type {
    /// The type that a file's header names.
    pub fn of_file(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            _ => {
                let place = QUANTISED
                    .iter()
                    .position(|quantised| quantised.in_header == number)?;
                u8::try_from(place).ok().map(Self::Quantised)
            }
        }
    }

    fn quantised(self) -> Option<&'static Quantised> {
        match self {
            Self::F32 | Self::F16 => None,
            Self::Quantised(place) => QUANTISED.get(usize::from(place)),
        }
    }

    /// The number that stands for it at a tensor.
    pub fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 | Self::Quantised(_) => {
                self.quantised().map_or(1, |quantised| quantised.at_tensor)
            }
        }
    }

    /// Numbers that are stored together.
    pub fn block(self) -> u64 {
        self.quantised().map_or(1, |quantised| quantised.block)
    }

    fn block_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Quantised(_) => {
                self.quantised().map_or(2, |quantised| quantised.bytes)
            }
        }
    }
}

/// A tensor's shape, the innermost length first, and its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor {
    /// Its lengths.
    pub shape: [u32; 3],
    /// How it is stored.
    pub kind: Type,
}

impl Tensor {
    /// What it takes in the file.
    pub fn bytes(&self) -> u64 {
        let numbers: u64 = self.shape.iter().map(|length| u64::from(*length)).product();
        numbers / self.kind.block() * self.kind.block_bytes()
    }
}

/// All tensors of a model with this header, by name.
pub fn of(header: &Header) -> impl Iterator<Item = (String, Tensor)> {
    let (state, weights) = (header.state, header.weights);
    let small = |shape| Tensor {
        shape,
        kind: Type::F32,
    };
    let large = move |shape| Tensor {
        shape,
        kind: weights,
    };
    // The convolutions are never quantised.
    let convolution = move |shape| Tensor {
        shape,
        kind: match weights {
            Type::F32 => Type::F32,
            Type::F16 | Type::Quantised(_) => Type::F16,
        },
    };
    let vector = small([state, 1, 1]);
    let ends = [
        ("encoder.positional_embedding", small([state, 1_500, 1])),
        ("encoder.conv1.weight", convolution([3, header.mels, state])),
        ("encoder.conv1.bias", small([1, state, 1])),
        ("encoder.conv2.weight", convolution([3, state, state])),
        ("encoder.conv2.bias", small([1, state, 1])),
        ("encoder.ln_post.weight", vector),
        ("encoder.ln_post.bias", vector),
        ("decoder.positional_embedding", small([state, 448, 1])),
        (
            "decoder.token_embedding.weight",
            large([state, header.vocabulary, 1]),
        ),
        ("decoder.ln.weight", vector),
        ("decoder.ln.bias", vector),
    ];
    let ends = ends.map(|(name, tensor)| (name.to_owned(), tensor));
    let perceptron = [
        ("mlp_ln.weight", vector),
        ("mlp_ln.bias", vector),
        ("mlp.0.weight", large([state, 4 * state, 1])),
        ("mlp.0.bias", small([4 * state, 1, 1])),
        ("mlp.2.weight", large([4 * state, state, 1])),
        ("mlp.2.bias", vector),
    ];
    let attention = [
        ("_ln.weight", vector),
        ("_ln.bias", vector),
        (".query.weight", large([state, state, 1])),
        (".query.bias", vector),
        // Keys have no bias.
        (".key.weight", large([state, state, 1])),
        (".value.weight", large([state, state, 1])),
        (".value.bias", vector),
        (".out.weight", large([state, state, 1])),
        (".out.bias", vector),
    ];
    let layers = |part: &'static str, layers: u32, attentions: &'static [&'static str]| {
        (0..layers).flat_map(move |layer| {
            let attention = attentions.iter().flat_map(move |kind| {
                attention
                    .map(|(name, tensor)| (format!("{part}.blocks.{layer}.{kind}{name}"), tensor))
            });
            perceptron
                .map(|(name, tensor)| (format!("{part}.blocks.{layer}.{name}"), tensor))
                .into_iter()
                .chain(attention)
        })
    };
    let encoder = layers("encoder", header.audio_layers, &["attn"]);
    let decoder = layers("decoder", header.text_layers, &["attn", "cross_attn"]);
    ends.into_iter().chain(encoder).chain(decoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_model_has_as_many_weights_as_its_paper_says() {
        let header = Header {
            vocabulary: 51_865,
            state: 384,
            audio_layers: 4,
            text_layers: 4,
            mels: 80,
            weights: Type::F16,
        };
        let tensors: Vec<_> = of(&header).collect();
        // What whisper.cpp expects: 11, and 15 and 24 for each layer.
        assert_eq!(tensors.len(), 11 + 4 * 15 + 4 * 24);
        let weights: u64 = tensors
            .iter()
            .map(|(_, tensor)| tensor.bytes() / tensor.kind.block_bytes())
            .sum();
        // 37.8 million, of which the encoder's positions are not learned.
        assert!((37_000_000..38_500_000).contains(&weights), "{weights}");
    }

    #[test]
    fn quantised_weights_take_whole_blocks() {
        let kind = Type::of_file(8).unwrap();
        let tensor = Tensor {
            shape: [384, 384, 1],
            kind,
        };
        assert_eq!((kind.number(), tensor.bytes()), (6, 384 * 384 / 32 * 22));
        assert_eq!(Type::of_file(4), None);
    }
}
