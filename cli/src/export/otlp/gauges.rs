//! Values of counters, collected by their names for a request.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint};
use prost::Message;
use rustc_hash::FxHashMap;

/// Gauges that wait to be sent.
#[derive(Debug, Default)]
pub struct Gauges {
    metrics: Vec<(String, Vec<NumberDataPoint>)>,
    /// By name, where in `metrics`.
    places: FxHashMap<String, usize>,
    points: usize,
    bytes: usize,
}

impl Gauges {
    /// Adds a value of the counter with that name.
    pub fn add(&mut self, name: &str, point: NumberDataPoint) {
        let place = match self.places.get(name) {
            Some(&place) => place,
            None => {
                self.metrics.push((name.to_owned(), Vec::new()));
                self.places.insert(name.to_owned(), self.metrics.len() - 1);
                self.bytes += name.len();
                self.metrics.len() - 1
            }
        };
        self.bytes += point.encoded_len();
        self.points += 1;
        self.metrics[place].1.push(point);
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.points
    }

    /// How long they are, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them, which are then gone from here.
    pub fn take(&mut self) -> Vec<Metric> {
        let metrics = std::mem::take(self).metrics.into_iter();
        let gauge = |data_points| Some(Data::Gauge(Gauge { data_points }));
        metrics.map(|(name, points)| Metric { name, data: gauge(points), ..Metric::default() }).collect()
    }
}
