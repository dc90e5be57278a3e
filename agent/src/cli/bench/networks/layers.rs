//! Layers that speech networks are made of. Values have the shape [1, channels, time].

use super::onnx::{Attribute as With, Network};

/// How a convolution goes over time.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Values that each output sums up, for each channel.
    pub kernel: i64,
    /// How far they lie apart.
    pub dilation: i64,
    /// Outputs are so far apart.
    pub stride: i64,
    /// Channels are parted into so many groups that know nothing of each other.
    pub groups: i64,
}

impl Conv {
    /// A plain one.
    pub fn of(kernel: i64) -> Self {
        Self {
            kernel,
            dilation: 1,
            stride: 1,
            groups: 1,
        }
    }

    /// The same with its values so far apart.
    pub fn dilated(self, dilation: i64) -> Self {
        Self { dilation, ..self }
    }
}

impl Network {
    /// A convolution that keeps the length (divided by the stride).
    pub fn conv(&mut self, x: &str, (from, to): (i64, i64), conv: Conv) -> String {
        let Conv {
            kernel,
            dilation,
            stride,
            groups,
        } = conv;
        let inputs = from / groups;
        let weights = self.weights(&[to, inputs, kernel], inputs * kernel);
        let bias = self.weights(&[to], 1_000);
        let padding = (kernel - 1) * dilation;
        let before = padding / 2;
        let with = [
            With::Ints("kernel_shape", vec![kernel]),
            With::Ints("dilations", vec![dilation]),
            With::Ints("strides", vec![stride]),
            With::Ints("pads", vec![before, padding - before]),
            With::Int("group", groups),
        ];
        self.node("Conv", &[x, &weights, &bias], &with)
    }

    /// A transposed convolution that makes the sound `times` as long.
    pub fn up(&mut self, x: &str, (from, to): (i64, i64), times: i64, kernel: i64) -> String {
        let weights = self.weights(&[from, to, kernel], from * kernel / times);
        let bias = self.weights(&[to], 1_000);
        let padding = kernel - times;
        let with = [
            With::Ints("kernel_shape", vec![kernel]),
            With::Ints("strides", vec![times]),
            With::Ints("pads", vec![padding / 2, padding - padding / 2]),
        ];
        self.node("ConvTranspose", &[x, &weights, &bias], &with)
    }

    /// A layer that joins all of `from` values: [..., from] to [..., to].
    pub fn linear(&mut self, x: &str, (from, to): (i64, i64)) -> String {
        let weights = self.weights(&[from, to], from);
        let bias = self.weights(&[to], 1_000);
        let product = self.node("MatMul", &[x, &weights], &[]);
        self.node("Add", &[&product, &bias], &[])
    }

    /// Brings the last side of a value to one size and spread: [..., size].
    pub fn layer_norm(&mut self, x: &str, size: i64) -> String {
        let ones = vec![1.0; usize::try_from(size).unwrap_or_default()];
        let scale = self.floats(&[size], &ones);
        self.node("LayerNormalization", &[x, &scale], &[With::Int("axis", -1)])
    }

    /// The same over channels.
    pub fn channel_norm(&mut self, x: &str, channels: i64) -> String {
        let turned = self.transpose(x, &[0, 2, 1]);
        let normal = self.layer_norm(&turned, channels);
        self.transpose(&normal, &[0, 2, 1])
    }

    /// Turns the sides of a value.
    pub fn transpose(&mut self, x: &str, sides: &[i64]) -> String {
        self.node("Transpose", &[x], &[With::Ints("perm", sides.to_vec())])
    }

    /// Gives a value another shape; 0 keeps a side, and -1 takes what is left.
    pub fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.node("Reshape", &[x, &shape], &[])
    }

    /// A part of a value's side.
    pub fn slice(&mut self, x: &str, side: i64, from: i64, to: i64) -> String {
        let [from, to, side] = [from, to, side].map(|value| self.ints(&[value]));
        self.node("Slice", &[x, &from, &to, &side], &[])
    }

    /// Several values in one, along the channels.
    pub fn join(&mut self, values: &[&str]) -> String {
        self.node("Concat", values, &[With::Int("axis", 1)])
    }

    /// Adds two values.
    pub fn add_up(&mut self, one: &str, other: &str) -> String {
        self.node("Add", &[one, other], &[])
    }

    /// Multiplies a value with a number.
    pub fn times(&mut self, x: &str, factor: f32) -> String {
        let factor = self.floats(&[1], &[factor]);
        self.node("Mul", &[x, &factor], &[])
    }

    /// Lets through what is above zero, and a part of the rest.
    pub fn leaky(&mut self, x: &str, part: f32) -> String {
        self.node("LeakyRelu", &[x], &[With::Float("alpha", part)])
    }

    /// Repeats each moment of [1, channels, time] so many times.
    pub fn stretch(&mut self, x: &str, channels: i64, times: i64) -> String {
        let apart = self.reshape(x, &[1, channels, -1, 1]);
        let counts = self.ints(&[1, 1, 1, times]);
        let repeated = self.node("Tile", &[&apart, &counts], &[]);
        self.reshape(&repeated, &[1, channels, -1])
    }

    /// Attention of [1, time, size] to itself, by so many heads.
    pub fn attention(&mut self, x: &str, size: i64, heads: i64) -> String {
        let each = size / heads;
        let parts = [0, 1, 2].map(|_| {
            let part = self.linear(x, (size, size));
            self.reshape(&part, &[1, -1, heads, each])
        });
        let [query, key, value] = parts;
        let query = self.transpose(&query, &[0, 2, 1, 3]);
        let key = self.transpose(&key, &[0, 2, 3, 1]);
        let value = self.transpose(&value, &[0, 2, 1, 3]);
        let scores = self.node("MatMul", &[&query, &key], &[]);
        let scores = self.times(&scores, 1.0 / (each as f32).sqrt());
        let shares = self.node("Softmax", &[&scores], &[With::Int("axis", -1)]);
        let heard = self.node("MatMul", &[&shares, &value], &[]);
        let heard = self.transpose(&heard, &[0, 2, 1, 3]);
        let heard = self.reshape(&heard, &[1, -1, size]);
        self.linear(&heard, (size, size))
    }

    /// A recurrent layer that goes over time in both directions, half of its `to` channels in each.
    pub fn lstm(&mut self, x: &str, (from, to): (i64, i64)) -> String {
        let half = to / 2;
        let weights = self.weights(&[2, 4 * half, from], from);
        let again = self.weights(&[2, 4 * half, half], half);
        let bias = self.weights(&[2, 8 * half], 1_000);
        let turned = self.transpose(x, &[2, 0, 1]);
        let with = [
            With::Int("hidden_size", half),
            With::Word("direction", "bidirectional"),
        ];
        let both = self.node("LSTM", &[&turned, &weights, &again, &bias], &with);
        let both = self.transpose(&both, &[2, 1, 3, 0]);
        self.reshape(&both, &[1, to, -1])
    }

    /// Sound of one even loudness, whatever the weights made of it, between -1 and 1: [1, 1, samples].
    pub fn sound(&mut self, x: &str) -> String {
        let squares = self.node("Mul", &[x, x], &[]);
        let with = [With::Ints("axes", vec![2]), With::Int("keepdims", 1)];
        let power = self.node("ReduceMean", &[&squares], &with);
        let least = self.floats(&[1], &[1e-12]);
        let power = self.add_up(&power, &least);
        let height = self.node("Sqrt", &[&power], &[]);
        let even = self.node("Div", &[x, &height], &[]);
        let even = self.times(&even, 0.1);
        self.node("Tanh", &[&even], &[])
    }
}
