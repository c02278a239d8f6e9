// The connectors that come with the product.

import { fileConnector } from '../../connectors/file/connector.ts'
import { kafkaConnector } from '../../connectors/kafka/connector.ts'
import type { Connector } from '../connector/mod.ts'

export const CONNECTORS: readonly Connector[] = [fileConnector, kafkaConnector]
