//! GenAI dialect table: Amazon Bedrock AgentCore: the spans are those of the agent's framework.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "aws_bedrock_agentcore",
    detection: DialectSigns {
        beginnings: &["aws.bedrock.", "aws.agentcore.", "aws.genai."],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        names: &["aws.bedrock.invocation.input", "aws.bedrock.invocation.output"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
