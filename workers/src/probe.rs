//! Asks a worker how it is, as probes and balancers do.

use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Whether the worker at the end of this way takes work, by `grpc.health.v1`. It does not say for how long an answer is waited for:
/// the caller does.
///
/// # Errors
/// What became of the question when there is no answer.
pub async fn is_serving<T>(way: T) -> Result<bool, Status>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    let whole = HealthCheckRequest::default();
    let answer = HealthClient::new(way).check(whole).await?;
    Ok(answer.get_ref().status() == ServingStatus::Serving)
}
