//! A layer of numbers, multiplied with the widest vectors that the processor has.

#![expect(
    clippy::indexing_slicing,
    reason = "all lengths are fixed when the layer is made, and checked there"
)]

use pulp::{Arch, Simd, WithSimd};

/// Rows are filled up with zeros to a multiple of this, so that vectors of every width divide them.
pub(super) const LANES: usize = 16;
/// Rows that are multiplied at a time where there is one column, with two, and with four: eight sums at once keep the
/// processor's multipliers busy and its registers full.
const ROWS: usize = 8;

/// Weights, row by row, and a bias for each row.
#[derive(Debug)]
pub(super) struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
    width: usize,
}

impl Layer {
    /// A layer of `width` inputs, whose row `r` is `row(r)`.
    ///
    /// # Panics
    /// If the width is no multiple of [`LANES`], the number of rows none of eight, or a row has another width.
    pub(super) fn new(width: usize, bias: Vec<f32>, row: impl Fn(usize) -> Vec<f32>) -> Self {
        assert!(width.is_multiple_of(LANES) && bias.len().is_multiple_of(ROWS));
        let mut weights = Vec::with_capacity(width * bias.len());
        for number in 0..bias.len() {
            weights.extend(row(number));
            assert_eq!(weights.len(), width * (number + 1));
        }
        Self {
            weights,
            bias,
            width,
        }
    }

    /// Every row times every column, with its bias: `out` has the layer's rows for the first column, then those for the
    /// next one, each column's at a distance of `stride`.
    pub(super) fn multiply<const COLUMNS: usize>(
        &self,
        arch: Arch,
        columns: [&[f32]; COLUMNS],
        out: &mut [f32],
        stride: usize,
    ) {
        let columns = columns.map(|column| &column[..self.width]);
        let layer = self;
        match COLUMNS {
            1 => arch.dispatch(Product::<COLUMNS, 8> {
                layer,
                columns,
                out,
                stride,
            }),
            2 => arch.dispatch(Product::<COLUMNS, 4> {
                layer,
                columns,
                out,
                stride,
            }),
            _ => arch.dispatch(Product::<COLUMNS, 2> {
                layer,
                columns,
                out,
                stride,
            }),
        }
    }
}

struct Product<'a, const COLUMNS: usize, const AT_A_TIME: usize> {
    layer: &'a Layer,
    columns: [&'a [f32]; COLUMNS],
    out: &'a mut [f32],
    stride: usize,
}

impl<const COLUMNS: usize, const AT_A_TIME: usize> WithSimd for Product<'_, COLUMNS, AT_A_TIME> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layer {
            weights,
            bias,
            width,
        } = self.layer;
        let chunks = width / S::F32_LANES;
        let columns = self.columns.map(|column| S::as_simd_f32s(column).0);
        let blocks = weights.chunks_exact(width * AT_A_TIME);
        for (number, block) in blocks.enumerate() {
            let first = number * AT_A_TIME;
            let mut sums = [[simd.splat_f32s(0.0); COLUMNS]; AT_A_TIME];
            let rows = S::as_simd_f32s(block).0;
            for chunk in 0..chunks {
                let inputs = columns.map(|column| column[chunk]);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let weights = rows[row * chunks + chunk];
                    for (input, sum) in inputs.iter().zip(sums) {
                        *sum = simd.mul_add_e_f32s(weights, *input, *sum);
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (column, sum) in sums.iter().enumerate() {
                    self.out[column * self.stride + first + row] =
                        simd.reduce_sum_f32s(*sum) + bias[first + row];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize) -> Vec<f32> {
        (0..32)
            .map(|input| ((number * 7 + input * 3) % 11) as f32 - 5.0)
            .collect()
    }

    fn expected(number: usize, column: &[f32]) -> f32 {
        let product: f32 = row(number).iter().zip(column).map(|(a, b)| a * b).sum();
        product + number as f32
    }

    /// `COLUMNS` columns, each a step further along a ramp, against the schoolbook's way.
    fn check<const COLUMNS: usize>() {
        let layer = Layer::new(32, (0..16).map(|row| row as f32).collect(), row);
        let ramp: Vec<f32> = (0..64).map(|at| (at % 9) as f32 * 0.25).collect();
        let columns: [&[f32]; COLUMNS] = std::array::from_fn(|column| &ramp[column * 8..]);
        // What is this processor's, and what every processor has.
        for arch in [Arch::new(), Arch::Scalar] {
            let mut out = [0.0; 4 * 20];
            layer.multiply(arch, columns, &mut out, 20);
            for (column, input) in columns.iter().enumerate() {
                for number in 0..16 {
                    let (got, wanted) = (out[column * 20 + number], expected(number, input));
                    assert!((got - wanted).abs() < 1e-4, "{got} instead of {wanted}");
                }
            }
        }
    }

    #[test]
    fn a_product_is_the_schoolbook_s_on_every_processor() {
        check::<1>();
        check::<2>();
        check::<4>();
    }
}
