//! Writes ONNX files: the few messages and fields of `onnx.proto3` that small graphs need, with the numbers they have there.
#![allow(dead_code, reason = "each test file uses a part of it")]

use prost::Message;

/// Types of values, as ONNX numbers them.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    Float = 1,
    Int32 = 6,
    Int64 = 7,
}

/// One side of a tensor, when it is not known before it runs.
pub const ANY: i64 = -1;

#[derive(Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
}

#[derive(Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<ValueType>,
}

#[derive(Message)]
struct ValueType {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

/// A number or a name, which has no field of its own here: a dimension without either may be anything.
#[derive(Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
}

/// A network in the making. What a node puts out goes by the name it is given.
pub struct Graph(GraphProto);

impl Graph {
    pub fn new() -> Self {
        Self(GraphProto {
            name: "test".into(),
            ..GraphProto::default()
        })
    }

    pub fn input(&mut self, name: &str, kind: Type, dims: &[i64]) {
        self.0.input.push(value(name, kind, dims));
    }

    pub fn output(&mut self, name: &str, kind: Type, dims: &[i64]) {
        self.0.output.push(value(name, kind, dims));
    }

    /// A constant of floats.
    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.0.initializer.push(Tensor {
            dims: dims.to_vec(),
            data_type: Type::Float as i32,
            float_data: values.to_vec(),
            name: name.into(),
            ..Tensor::default()
        });
    }

    /// A constant of whole numbers.
    pub fn ints(&mut self, name: &str, dims: &[i64], values: &[i64]) {
        self.0.initializer.push(Tensor {
            dims: dims.to_vec(),
            data_type: Type::Int64 as i32,
            int64_data: values.to_vec(),
            name: name.into(),
            ..Tensor::default()
        });
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.node_with(op, inputs, output, &[]);
    }

    /// A node with attributes that are whole numbers.
    pub fn node_with(&mut self, op: &str, inputs: &[&str], output: &str, with: &[(&str, i64)]) {
        const INT: i32 = 2;
        self.0.node.push(Node {
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            attribute: with
                .iter()
                .map(|(name, i)| Attribute {
                    name: name.to_string(),
                    i: *i,
                    kind: INT,
                })
                .collect(),
        });
    }

    pub fn cast(&mut self, input: &str, output: &str, to: Type) {
        self.node_with("Cast", &[input], output, &[("to", to as i64)]);
    }

    /// The file.
    pub fn bytes(self) -> Vec<u8> {
        let model = Model {
            ir_version: 8,
            graph: Some(self.0),
            opset_import: vec![OperatorSet {
                domain: String::new(),
                version: 17,
            }],
        };
        model.encode_to_vec()
    }
}

fn value(name: &str, kind: Type, dims: &[i64]) -> ValueInfo {
    let dim = |dim: &i64| Dimension {
        value: (*dim != ANY).then_some(*dim),
    };
    ValueInfo {
        name: name.into(),
        kind: Some(ValueType {
            tensor: Some(TensorType {
                elem_type: kind as i32,
                shape: Some(Shape {
                    dim: dims.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}
