//! Silero's numbers, out of its ONNX file.
//!
//! Only what holds tensors is read of the format (onnx.proto3 of the ONNX project); the graph's wiring is known.

use prost::Message;
use std::collections::HashMap;

/// The only element type that the network has.
const FLOAT: i32 = 1;

/// The tensors of a file, by the name that each had where the network was trained.
#[derive(Debug)]
pub(super) struct Weights {
    tensors: HashMap<String, Tensor>,
}

/// Numbers and their shape, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Weights {
    /// All float tensors of an ONNX file, also those inside the branches of its conditions; `None` if it is no such file.
    pub(super) fn read(file: &[u8]) -> Option<Self> {
        let mut weights = Self {
            tensors: HashMap::new(),
        };
        weights.collect(ModelProto::decode(file).ok()?.graph?);
        Some(weights)
    }

    fn collect(&mut self, graph: GraphProto) {
        for tensor in graph.initializer {
            self.keep(tensor.name.clone(), tensor);
        }
        for node in graph.node {
            let output = node.output.into_iter().next().unwrap_or_default();
            for attribute in node.attribute {
                if let Some(graph) = attribute.g {
                    self.collect(graph);
                }
                if let Some(tensor) = attribute.t {
                    self.keep(output.clone(), tensor);
                }
            }
        }
    }

    fn keep(&mut self, name: String, tensor: TensorProto) {
        if tensor.data_type != FLOAT {
            return;
        }
        let values = if tensor.raw_data.is_empty() {
            tensor.float_data
        } else {
            let (numbers, _) = tensor.raw_data.as_chunks::<4>();
            numbers
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect()
        };
        let shape: Option<Vec<usize>> = tensor
            .dims
            .iter()
            .map(|n| usize::try_from(*n).ok())
            .collect();
        let Some(shape) = shape else { return };
        let size = shape
            .iter()
            .try_fold(1usize, |size, n| size.checked_mul(*n));
        if size == Some(values.len()) {
            self.tensors.insert(name, Tensor { shape, values });
        }
    }

    /// What stands before `name` in the full name of a tensor of this name and shape. A file may hold a network for each
    /// sample rate, and then their tensors differ in their shapes and in what stands before their names.
    pub(super) fn prefix(&self, name: &str, shape: &[usize]) -> Option<&str> {
        self.tensors
            .iter()
            .filter(|(_, tensor)| tensor.shape == shape)
            .find_map(|(full, _)| full.strip_suffix(name))
    }

    /// The tensor of this full name, if it has this shape.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Option<&[f32]> {
        let tensor = self.tensors.get(name)?;
        (tensor.shape == shape).then_some(&tensor.values)
    }
}

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    g: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
        TensorProto {
            dims: dims.to_vec(),
            data_type: FLOAT,
            float_data: Vec::new(),
            name: name.into(),
            raw_data,
        }
    }

    fn file(tensors: Vec<TensorProto>) -> Vec<u8> {
        let inner = GraphProto {
            node: Vec::new(),
            initializer: tensors,
        };
        let branch = NodeProto {
            output: vec!["out".into()],
            attribute: vec![AttributeProto {
                t: Some(tensor("", &[], 7f32.to_le_bytes().to_vec())),
                g: Some(inner),
            }],
        };
        let graph = GraphProto {
            node: vec![branch],
            initializer: Vec::new(),
        };
        ModelProto { graph: Some(graph) }.encode_to_vec()
    }

    #[test]
    fn tensors_are_found_inside_branches_by_the_end_of_their_names() {
        let raw = [1f32, -2.0].map(f32::to_le_bytes).concat();
        let weights = Weights::read(&file(vec![tensor("If_0__rnn.bias", &[2, 1], raw)])).unwrap();
        assert_eq!(weights.prefix("rnn.bias", &[2, 1]), Some("If_0__"));
        assert_eq!(weights.prefix("rnn.bias", &[1, 2]), None);
        assert_eq!(
            weights.get("If_0__rnn.bias", &[2, 1]),
            Some(&[1.0, -2.0][..])
        );
        assert_eq!(weights.get("out", &[]), Some(&[7.0][..]));
    }

    #[test]
    fn a_shape_that_lies_about_its_numbers_is_left_out() {
        for dims in [&[3][..], &[-1], &[i64::MAX, i64::MAX]] {
            let weights = Weights::read(&file(vec![tensor("w", dims, vec![0; 8])])).unwrap();
            assert!(!weights.tensors.contains_key("w"), "{dims:?}");
        }
    }

    #[test]
    fn what_is_no_onnx_file_has_no_weights() {
        assert!(Weights::read(b"no library and no model").is_none());
        assert!(Weights::read(&[]).is_none());
    }
}
