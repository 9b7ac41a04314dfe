/* All message types of proto/ that are not nested in another: those that an Any may hold. */
#include "bundle.pb-c.h"
#include "debug_info.pb-c.h"
#include "google.pb-c.h"
#include "graph.pb-c.h"
#include "message/pb.h"
#include "meta_graph.pb-c.h"
#include "object_graph.pb-c.h"
#include "saved_object.pb-c.h"
#include "saved_slices.pb-c.h"
#include "state.pb-c.h"
#include "struct.pb-c.h"
#include "tensor.pb-c.h"
#include "types.pb-c.h"
#include "variable.pb-c.h"

static const ProtobufCMessageDescriptor *const types[] = {
	&tensorflow__bundle_header_proto__descriptor,
	&tensorflow__bundle_entry_proto__descriptor,
	&tensorflow__graph_debug_info__descriptor,
	&google__protobuf__any__descriptor,
	&google__protobuf__bool_value__descriptor,
	&tensorflow__graph_def__descriptor,
	&tensorflow__node_def__descriptor,
	&tensorflow__attr_value__descriptor,
	&tensorflow__name_attr_list__descriptor,
	&tensorflow__function_def_library__descriptor,
	&tensorflow__function_def__descriptor,
	&tensorflow__gradient_def__descriptor,
	&tensorflow__registered_gradient__descriptor,
	&tensorflow__op_list__descriptor,
	&tensorflow__op_def__descriptor,
	&tensorflow__op_deprecation__descriptor,
	&tensorflow__full_type_def__descriptor,
	&tensorflow__meta_graph_def__descriptor,
	&tensorflow__saver_def__descriptor,
	&tensorflow__collection_def__descriptor,
	&tensorflow__signature_def__descriptor,
	&tensorflow__tensor_info__descriptor,
	&tensorflow__asset_file_def__descriptor,
	&tensorflow__trackable_object_graph__descriptor,
	&tensorflow__registered_saver__descriptor,
	&tensorflow__saved_object_graph__descriptor,
	&tensorflow__saved_object__descriptor,
	&tensorflow__saved_user_object__descriptor,
	&tensorflow__saved_asset__descriptor,
	&tensorflow__saved_function__descriptor,
	&tensorflow__captured_tensor__descriptor,
	&tensorflow__saved_concrete_function__descriptor,
	&tensorflow__saved_bare_concrete_function__descriptor,
	&tensorflow__saved_constant__descriptor,
	&tensorflow__saved_variable__descriptor,
	&tensorflow__function_spec__descriptor,
	&tensorflow__saved_resource__descriptor,
	&tensorflow__saveable_object__descriptor,
	&tensorflow__saved_tensor_slices__descriptor,
	&tensorflow__saved_tensor_slice_meta__descriptor,
	&tensorflow__saved_slice_meta__descriptor,
	&tensorflow__saved_slice__descriptor,
	&tensorflow__checkpoint_state__descriptor,
	&tensorflow__structured_value__descriptor,
	&tensorflow__none_value__descriptor,
	&tensorflow__list_value__descriptor,
	&tensorflow__tuple_value__descriptor,
	&tensorflow__dict_value__descriptor,
	&tensorflow__pair_value__descriptor,
	&tensorflow__named_tuple_value__descriptor,
	&tensorflow__tensor_spec_proto__descriptor,
	&tensorflow__bounded_tensor_spec_proto__descriptor,
	&tensorflow__type_spec_proto__descriptor,
	&tensorflow__tensor_proto__descriptor,
	&tensorflow__resource_handle_proto__descriptor,
	&tensorflow__variant_tensor_data_proto__descriptor,
	&tensorflow__tensor_shape_proto__descriptor,
	&tensorflow__tensor_slice_proto__descriptor,
	&tensorflow__version_def__descriptor,
	&tensorflow__variable_def__descriptor,
	&tensorflow__save_slice_info_def__descriptor,
};

const ProtobufCMessageDescriptor *pb_type(struct bytes name)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (bytes_eq(name, bytes_str(types[i]->name)))
			return types[i];
	return NULL;
}
