//! Writes ONNX files of any size: the few messages and fields of `onnx.proto3` that a network needs, with the numbers they have
//! there. Random weights are made while they are written, so a file of 300 MB needs no memory.

use std::io::{self, Write};

/// The version of the operators, and of the file's form.
const OPSET: u64 = 17;
const IR_VERSION: u64 = 8;

/// Types of values, as ONNX numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// 32 bits.
    Float = 1,
    /// 64 bits, signed.
    Int = 7,
}

/// An attribute of a node, with its name.
#[derive(Debug, Clone)]
pub enum Attribute {
    /// A whole number.
    Int(&'static str, i64),
    /// Several whole numbers.
    Ints(&'static str, Vec<i64>),
    /// A number.
    Float(&'static str, f32),
    /// A word.
    Word(&'static str, &'static str),
}

/// What a constant holds.
#[derive(Debug)]
enum Values {
    /// Little-endian bytes.
    Given(Vec<u8>),
    /// Floats from -`most` to `most`.
    Random { count: u64, most: f32 },
}

#[derive(Debug)]
struct Constant {
    name: String,
    dims: Vec<i64>,
    kind: Type,
    values: Values,
}

/// A network in the making. What a node puts out goes by a name that it is given here.
#[derive(Debug, Default)]
pub struct Network {
    nodes: Vec<u8>,
    constants: Vec<Constant>,
    outlets: Vec<u8>,
    names: u64,
    parameters: u64,
}

impl Network {
    /// An input; a side of -1 may be of any length.
    pub fn input(&mut self, name: &str, kind: Type, dims: &[i64]) {
        bytes(&mut self.outlets, 11, &value(name, kind, dims));
    }

    /// Puts out what goes by `value`, under another name.
    pub fn output(&mut self, value_name: &str, name: &str, kind: Type, dims: &[i64]) {
        self.add("Identity", &[value_name], &[name.to_owned()], &[]);
        bytes(&mut self.outlets, 12, &value(name, kind, dims));
    }

    /// A node with one output, whose name is returned.
    pub fn node(&mut self, op: &str, inputs: &[&str], with: &[Attribute]) -> String {
        let output = self.name();
        self.add(op, inputs, std::slice::from_ref(&output), with);
        output
    }

    /// Weights of a layer that sums up `fan_in` products for each of its values. They are such that it puts out about as much
    /// as comes in.
    pub fn weights(&mut self, dims: &[i64], fan_in: i64) -> String {
        let count: i64 = dims.iter().product();
        let count = u64::try_from(count).unwrap_or_default();
        self.parameters += count;
        // Evenly spread from -a to a, they have the variance a² / 3.
        let most = (3.0 / fan_in.max(1) as f32).sqrt();
        self.constant(dims, Type::Float, Values::Random { count, most })
    }

    /// Numbers that are no weights.
    pub fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        let values = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(dims, Type::Float, Values::Given(values.collect()))
    }

    /// A list of whole numbers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let dims = [values.len() as i64];
        let values = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(&dims, Type::Int, Values::Given(values.collect()))
    }

    /// How many weights there are.
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &mut impl Write) -> io::Result<()> {
        let heads: Vec<Vec<u8>> = self.constants.iter().map(Constant::head).collect();
        let mut length = self.nodes.len() as u64 + self.outlets.len() as u64;
        for (constant, head) in self.constants.iter().zip(&heads) {
            let inner = head.len() as u64 + constant.bytes();
            length += prefix(5, inner).len() as u64 + inner;
        }
        let mut start = Vec::new();
        number(&mut start, 1, IR_VERSION);
        let mut operators = Vec::new();
        bytes(&mut operators, 1, b"");
        number(&mut operators, 2, OPSET);
        bytes(&mut start, 8, &operators);
        start.extend(prefix(7, length));
        file.write_all(&start)?;
        file.write_all(&self.nodes)?;
        let mut random = Random(1);
        for (constant, head) in self.constants.iter().zip(&heads) {
            file.write_all(&prefix(5, head.len() as u64 + constant.bytes()))?;
            file.write_all(head)?;
            constant.write_values(file, &mut random)?;
        }
        file.write_all(&self.outlets)
    }

    fn constant(&mut self, dims: &[i64], kind: Type, values: Values) -> String {
        let name = self.name();
        self.constants.push(Constant {
            name: name.clone(),
            dims: dims.to_vec(),
            kind,
            values,
        });
        name
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn add(&mut self, op: &str, inputs: &[&str], outputs: &[String], with: &[Attribute]) {
        let mut node = Vec::new();
        for input in inputs {
            bytes(&mut node, 1, input.as_bytes());
        }
        for output in outputs {
            bytes(&mut node, 2, output.as_bytes());
        }
        bytes(&mut node, 4, op.as_bytes());
        for attribute in with {
            bytes(&mut node, 5, &attribute.message());
        }
        bytes(&mut self.nodes, 1, &node);
    }
}

impl Constant {
    fn bytes(&self) -> u64 {
        match &self.values {
            Values::Given(values) => values.len() as u64,
            Values::Random { count, .. } => 4 * count,
        }
    }

    /// All of the message but the values, up to and with their length.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        for dim in &self.dims {
            number(&mut head, 1, dim.unsigned_abs());
        }
        number(&mut head, 2, self.kind as u64);
        bytes(&mut head, 8, self.name.as_bytes());
        head.extend(prefix(9, self.bytes()));
        head
    }

    fn write_values(&self, file: &mut impl Write, random: &mut Random) -> io::Result<()> {
        match &self.values {
            Values::Given(values) => file.write_all(values),
            Values::Random { count, most } => {
                for _ in 0..*count {
                    file.write_all(&(random.next() * most).to_le_bytes())?;
                }
                Ok(())
            }
        }
    }
}

impl Attribute {
    fn message(&self) -> Vec<u8> {
        const KIND: u64 = 20;
        let mut message = Vec::new();
        match self {
            Self::Int(name, value) => {
                bytes(&mut message, 1, name.as_bytes());
                number(&mut message, 3, value.cast_unsigned());
                number(&mut message, KIND, 2);
            }
            Self::Ints(name, values) => {
                bytes(&mut message, 1, name.as_bytes());
                for value in values {
                    number(&mut message, 8, value.cast_unsigned());
                }
                number(&mut message, KIND, 7);
            }
            Self::Float(name, value) => {
                bytes(&mut message, 1, name.as_bytes());
                // Wire type 5: four bytes as they are.
                varint(&mut message, (2 << 3) | 5);
                message.extend(value.to_le_bytes());
                number(&mut message, KIND, 1);
            }
            Self::Word(name, value) => {
                bytes(&mut message, 1, name.as_bytes());
                bytes(&mut message, 4, value.as_bytes());
                number(&mut message, KIND, 3);
            }
        }
        message
    }
}

/// Numbers from -1 to 1, the same in every run: Numerical Recipes' generator, any would do.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

fn value(name: &str, kind: Type, dims: &[i64]) -> Vec<u8> {
    let mut shape = Vec::new();
    for dim in dims {
        let mut side = Vec::new();
        // A side without a number may be of any length.
        if let Ok(length) = u64::try_from(*dim) {
            number(&mut side, 1, length);
        }
        bytes(&mut shape, 1, &side);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, kind as u64);
    bytes(&mut tensor, 2, &shape);
    let mut kind = Vec::new();
    bytes(&mut kind, 1, &tensor);
    let mut value = Vec::new();
    bytes(&mut value, 1, name.as_bytes());
    bytes(&mut value, 2, &kind);
    value
}

/// A field of bytes, text or another message.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    out.extend(prefix(field, value.len() as u64));
    out.extend(value);
}

/// What stands before so many bytes of a field.
fn prefix(field: u64, length: u64) -> Vec<u8> {
    let mut prefix = Vec::new();
    varint(&mut prefix, (field << 3) | 2);
    varint(&mut prefix, length);
    prefix
}

/// A field of a whole number.
fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

/// Seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a message: their numbers, and what they hold.
    fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn take(message: &mut &[u8]) -> u64 {
            let mut value = 0;
            for at in 0.. {
                let byte = message[0];
                *message = &message[1..];
                value |= u64::from(byte & 0x7f) << (7 * at);
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut fields = Vec::new();
        while !message.is_empty() {
            let key = take(&mut message);
            let held = match key & 7 {
                0 => take(&mut message).to_le_bytes().to_vec(),
                2 => {
                    let length = take(&mut message) as usize;
                    let (held, rest) = message.split_at(length);
                    message = rest;
                    held.to_vec()
                }
                kind => panic!("wire type {kind}"),
            };
            fields.push((key >> 3, held));
        }
        fields
    }

    #[test]
    fn a_file_holds_what_was_put_into_it() {
        let mut network = Network::default();
        network.input("x", Type::Float, &[1, -1]);
        let weights = network.weights(&[300, 3], 3);
        let sum = network.node("Add", &["x", &weights], &[Attribute::Int("axis", -1)]);
        network.output(&sum, "y", Type::Float, &[1, -1]);
        assert_eq!(network.parameters(), 900);
        let mut file = Vec::new();
        network.write(&mut file).unwrap();
        let model = fields(&file);
        let numbers: Vec<u64> = model.iter().map(|(field, _)| *field).collect();
        assert_eq!(numbers, [1, 8, 7]);
        let graph = fields(&model[2].1);
        let numbers: Vec<u64> = graph.iter().map(|(field, _)| *field).collect();
        assert_eq!(numbers, [1, 1, 5, 11, 12]);
        let constant = fields(&graph[2].1);
        let held = &constant.iter().find(|(field, _)| *field == 9).unwrap().1;
        assert_eq!(held.len(), 3_600);
        let values = held
            .as_chunks::<4>()
            .0
            .iter()
            .map(|it| f32::from_le_bytes(*it));
        assert!(values.clone().all(|value| value.abs() <= 1.0));
        let squares: f32 = values.map(|value| value * value).sum();
        assert!((0.28..0.38).contains(&(squares / 900.0)), "a third each");
    }
}
